"""The dates of a certificate, read off its bytes."""

from __future__ import annotations

import ssl
import struct
from base64 import b64encode
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from confcar.watchers.certificate_dates import Life, life_of, life_of_ssh
from tests.unit.watchers.certificates import BEGIN, END, certificate

PEM = certificate()
LIFE = Life(BEGIN.timestamp(), END.timestamp())


def test_dates_are_read_from_pem_and_from_bare_base64() -> None:
    bare = "".join(PEM.strip().splitlines()[1:-1])

    assert life_of(PEM) == life_of(bare) == LIFE
    assert LIFE.seconds == END.timestamp() - BEGIN.timestamp()


def test_first_certificate_of_a_bundle_counts() -> None:
    other = certificate(datetime(2001, 1, 1, tzinfo=UTC), datetime(2002, 1, 1, tzinfo=UTC))

    assert life_of(f"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n{PEM}{other}") == LIFE


@pytest.mark.parametrize(
    ("year", "end_year"),
    [pytest.param(1960, 2049, id="two digits"), pytest.param(2050, 2101, id="four digits from 2050 on")],
)
def test_years_are_those_of_the_right_century(year: int, end_year: int) -> None:
    begin, end = datetime(year, 2, 3, 4, 5, 6, tzinfo=UTC), datetime(end_year, 2, 3, tzinfo=UTC)

    assert life_of(certificate(begin, end)) == Life(begin.timestamp(), end.timestamp())


@given(st.binary(max_size=200), st.integers(0, 400))
def test_what_is_no_certificate_has_no_dates(noise: bytes, cut: int) -> None:
    der = ssl.PEM_cert_to_DER_cert(PEM)
    assert life_of(ssl.DER_cert_to_PEM_cert(noise)) is None
    assert life_of(ssl.DER_cert_to_PEM_cert(der[: min(cut, len(der) - 1)])) in {None, LIFE}
    assert life_of(noise.decode("latin-1")) is None


def test_certificate_that_ends_before_it_begins_has_no_life() -> None:
    assert life_of("") is None
    assert life_of("no certificate") is None


def ssh_certificate(kind: str, fields: int, begin: int, end: int) -> str:
    """Return one whose key is made of nothing."""

    def text(value: bytes) -> bytes:
        return struct.pack(">I", len(value)) + value

    name = f"{kind}-cert-v01@openssh.com"
    parts = [text(name.encode()), text(b"nonce"), *(text(b"key") for _ in range(fields))]
    parts += [struct.pack(">QI", 7, 1), text(b"id"), text(text(b"app")), struct.pack(">QQ", begin, end)]
    return f"{name} {b64encode(b''.join(parts)).decode()} app@host\n"


@pytest.mark.parametrize(
    ("kind", "fields"), [("ssh-ed25519", 1), ("ssh-rsa", 2), ("ecdsa-sha2-nistp384", 2), ("sk-ecdsa-sha2-nistp256", 3)]
)
def test_dates_of_an_ssh_certificate_are_read_whatever_its_key(kind: str, fields: int) -> None:
    assert life_of_ssh(ssh_certificate(kind, fields, 1000, 2000)) == Life(1000.0, 2000.0)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(ssh_certificate("ssh-ed25519", 1, 0, 2**64 - 1), id="for ever"),
        pytest.param(ssh_certificate("ssh-ed25519", 1, 2000, 1000), id="ends before it begins"),
        pytest.param("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5", id="a key that is no certificate"),
        pytest.param("ssh-ed25519-cert-v01@openssh.com AAAA", id="cut"),
        pytest.param("ssh-new-cert-v01@openssh.com AAAA", id="a type that is not known"),
        pytest.param("", id="nothing"),
    ],
)
def test_ssh_text_without_an_end_has_no_dates(text: str) -> None:
    assert life_of_ssh(text) is None
