"""The sections of the hub, in sidebar order.

An app that brings a page adds one line here; the sidebar, the keyboard
shortcuts and their help follow from it.
"""

from __future__ import annotations

from dataclasses import dataclass

from apps.accounts.roles import Role
from apps.accounts.rules import rule_named


@dataclass(frozen=True)
class Section:
    """One entry of the sidebar."""

    label: str
    url_name: str
    icon: str
    """Symbol in static/icons.svg."""
    key: str
    """Letter that opens the section after ``g``."""
    more: tuple[str, ...] = ()
    """Other apps whose pages belong to it."""

    def is_open_to(self, role: Role | None) -> bool:
        """Whether somebody with ``role`` gets to see it."""
        return rule_named(self.url_name).lets(role, "GET")

    @property
    def app_name(self) -> str:
        return self.url_name.partition(":")[0]


SECTIONS = (
    Section("Playground", "playground:home", "chat", "p", ("compare",)),
    Section("Models", "models:list", "cube", "m", ("publishing",)),
    Section("Discover", "discover:home", "search", "d", ("downloads",)),
    Section("Data", "datasets:home", "stack", "a"),
    Section("Training", "training:home", "branch", "t", ("evaluations",)),
    Section("Benchmarks", "benchmarks:home", "chart", "b"),
    Section("Usage", "usage:home", "meter", "u"),
    Section("Keys", "keys:home", "key", "k"),
    Section("Users", "accounts:users", "people", "w", ("audit",)),
    Section("System", "system:overview", "pulse", "s"),
)
