"""The certificate of HTTPS: read, judged, and told of in time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.x509.oid import NameOID

from apps.system.alerts.conditions import Matter, kind_of
from apps.system.certificate import CertificateUnreadable, read_validity
from apps.system.health.checks import certificate as check

NOW = datetime.now(UTC)
KEY = generate_private_key(SECP256R1())


def pem(*, begins: timedelta = timedelta(days=-60), ends: timedelta) -> bytes:
    """A certificate that signs itself; its times are counted from now."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hub.example")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(KEY.public_key())
        .serial_number(1)
        .not_valid_before(NOW + begins)
        .not_valid_after(NOW + ends)
        .sign(KEY, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


@pytest.fixture
def path(tmp_path: Path, settings: Any) -> Path:
    path = tmp_path / "chain.pem"
    settings.HUB = settings.HUB.model_copy(update={"tls_cert": path, "tls_key": path})
    return path


def matters(days: float = 21) -> list[Matter]:
    return list(kind_of("certificate").condition(NOW.timestamp(), days))


@pytest.mark.parametrize(
    ("begins", "ends", "state", "said"),
    [
        (-60, 90, "ok", "It ends in 89 days"),
        (-60, 20.5, "degraded", "It ends in 20 days"),
        (-60, 1.5, "degraded", "It ends in 1 day,"),
        (-60, 0.5, "degraded", "It ends within a day"),
        (-60, -0.5, "down", "It ended on "),
        (1, 90, "down", "and not yet"),
    ],
)
def test_health_says_how_long_it_holds(
    path: Path, begins: float, ends: float, state: str, said: str
) -> None:
    path.write_bytes(pem(begins=timedelta(days=begins), ends=timedelta(days=ends)))
    found = check.check()
    assert (found.state, said in found.detail) == (state, True), found
    assert ("mlx-hub restart" in found.remedy) is (state != "ok")


def test_a_hub_without_https_has_nothing_to_tell() -> None:
    assert check.check().state == "ok"
    assert matters() == []


def test_a_chain_ends_with_the_first_of_its_certificates(path: Path) -> None:
    path.write_bytes(pem(ends=timedelta(days=90)) + pem(ends=timedelta(days=9)))
    assert read_validity(path).ends == (NOW + timedelta(days=9)).replace(microsecond=0)


def test_the_alert_fires_within_the_days_of_its_rule(path: Path) -> None:
    path.write_bytes(pem(ends=timedelta(days=15)))
    (matter,) = matters()
    assert "It ends in 14 days" in matter.summary or "It ends in 15 days" in matter.summary
    assert "mlx-hub restart" in matter.remedy
    assert matters(days=10) == []


@pytest.mark.parametrize("content", [None, b"", b"-----BEGIN CERTIFICATE-----\nx\n"])
def test_a_file_that_holds_none_is_told_of_by_its_name(path: Path, content: bytes | None) -> None:
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CertificateUnreadable, match=r"chain\.pem can't be read as a certificate"):
        read_validity(path)
    assert check.check().state == "degraded"
    (matter,) = matters()
    assert "MLXHUB_TLS_CERT" in matter.remedy
