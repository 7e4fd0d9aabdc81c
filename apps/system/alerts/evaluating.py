"""Alerts begin where a rule's condition holds, and end where it no longer does."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from django.db import transaction

from apps.system.alerts.conditions import KINDS, Kind, Matter
from apps.system.alerts.delivering import tell
from apps.system.alerts.models import Alert, Rule

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Setting:
    """A rule with what its owner changed of it."""

    kind: Kind
    enabled: bool
    threshold: float

    @property
    def says(self) -> str:
        return self.kind.says.format(f"{self.threshold:g}")


def settings_of_rules() -> list[Setting]:
    """Every rule as it is in force."""
    rows: Mapping[str, Rule] = Rule.objects.in_bulk()
    return [_setting(kind, rows.get(kind.key)) for kind in KINDS]


def _setting(kind: Kind, row: Rule | None) -> Setting:
    if row is None:
        return Setting(kind, True, kind.threshold)
    return Setting(kind, row.enabled, kind.threshold if row.threshold is None else row.threshold)


@dataclass
class Evaluator:
    """Looks again and again; remembers since when what is not an alert yet holds."""

    _since: dict[tuple[str, str], float] = field(default_factory=dict)

    def evaluate(self, *, now: float) -> None:
        """Begin and end alerts, once. Raises DatabaseError."""
        for setting in settings_of_rules():
            matters = self._held(setting, now) if setting.enabled else []
            reconcile(setting.kind.key, matters, now=now)

    def _held(self, setting: Setting, now: float) -> list[Matter]:
        """What holds for as long as the rule waits."""
        kind = setting.kind
        try:
            found = list(kind.condition(now, setting.threshold))
        except OSError as error:  # a disk that is away says nothing of how full it is
            logger.warning("The rule %s could not look: %s", kind.key, error)
            found = []
        here = {(kind.key, matter.subject) for matter in found}
        known = {key: at for key, at in self._since.items() if key[0] != kind.key or key in here}
        self._since = dict.fromkeys(here, now) | known
        return [
            matter
            for matter in found
            if now - self._since[kind.key, matter.subject] >= kind.patience
        ]


def reconcile(kind: str, matters: Iterable[Matter], *, now: float) -> None:
    """Have alerts of a kind fire for these matters and no others; tell the webhooks of changes."""
    moment = datetime.fromtimestamp(now, UTC)
    wanted = {matter.subject[:120]: matter for matter in matters}
    with transaction.atomic():
        firing = {alert.subject: alert for alert in Alert.objects.firing().filter(kind=kind)}
        for subject in firing.keys() - wanted.keys():
            alert = firing[subject]
            alert.resolved_at = moment
            alert.save(update_fields=["resolved_at"])
            logger.info("Alert over: %s", alert)
            tell(alert)
        for subject in wanted.keys() - firing.keys():
            matter = wanted[subject]
            alert = Alert.objects.create(
                kind=kind,
                subject=subject,
                summary=matter.summary[:500],
                remedy=matter.remedy[:500],
                started_at=moment,
            )
            logger.warning("Alert: %s", alert)
            tell(alert)
