"""Addresses of the Data pages."""

from django.urls import path

from apps.datasets import diff_views, editing_views, export_views, import_views, token_views, views

app_name = "datasets"

urlpatterns = [
    path("", views.home, name="home"),
    path("import/", import_views.home, name="import"),
    path("import/start/", import_views.start, name="import_start"),
    path("import/paste/", import_views.paste, name="import_paste"),
    path("import/uploads/", import_views.begin_upload, name="import_upload"),
    path("import/uploads/<str:token>/", import_views.upload_piece, name="import_piece"),
    path("<str:slug>/", views.detail, name="detail"),
    path("<str:slug>/versions/", views.versions, name="versions"),
    path("<str:slug>/versions/<int:number>/restore/", views.restore, name="restore"),
    path(
        "<str:slug>/versions/<int:number>/<str:split>.jsonl", export_views.download, name="download"
    ),
    path("<str:slug>/versions/<int:number>/<str:format>.zip", export_views.archive, name="archive"),
    path("<str:slug>/versions/<int:number>/changes/", diff_views.changes, name="changes"),
    path("<str:slug>/delete/", views.delete, name="delete"),
    path("<str:slug>/jobs/", views.jobs, name="jobs"),
    path("<str:slug>/jobs/<int:key>/cancel/", views.cancel, name="cancel"),
    path("<str:slug>/map/", editing_views.mapping, name="map"),
    path("<str:slug>/change/<str:kind>/", editing_views.change, name="change"),
    path("<str:slug>/rows/<int:number>/", editing_views.row, name="row"),
    path("<str:slug>/rows/<int:number>/delete/", editing_views.delete_row, name="row_delete"),
    path("<str:slug>/tokens/", token_views.tokens, name="tokens"),
    path("<str:slug>/rows/<int:number>/tokens/", token_views.row_tokens, name="row_tokens"),
]
