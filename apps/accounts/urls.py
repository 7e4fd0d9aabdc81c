"""Addresses of accounts: signing in, one's own account, and the owner's page of all."""

from django.urls import path

from apps.accounts import users_views, views

app_name = "accounts"

urlpatterns = [
    path("setup/", views.setup, name="setup"),
    path("sign-in/", views.sign_in, name="sign_in"),
    path("sign-out/", views.sign_out, name="sign_out"),
    path("join/<str:number>/<str:token>/", views.join, name="join"),
    path("account/", views.account, name="account"),
    path("users/", users_views.users, name="users"),
    path("users/invite/", users_views.invite, name="invite"),
    path("users/<int:key>/role/", users_views.change_role, name="role"),
    path("users/<int:key>/switch/", users_views.switch, name="switch"),
    path("users/<int:key>/reset/", users_views.reset, name="reset"),
]
