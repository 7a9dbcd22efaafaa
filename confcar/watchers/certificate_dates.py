"""From when to when a certificate is good, read off its own bytes: the standard library has no public way to ask.

Only the way to the dates is walked: `validity` of an X.509 certificate (RFC 5280, section 4.1), `valid after` of an SSH
one (PROTOCOL.certkeys of OpenSSH). Whether it is genuine is not judged here.
"""

from __future__ import annotations

import binascii
import re
import struct
from dataclasses import dataclass
from datetime import UTC, datetime

_PEM = re.compile(r"-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----(.*?)-----END ", re.DOTALL)
_UTC_TIME, _GENERALIZED_TIME, _EXPLICIT_VERSION = 0x17, 0x18, 0xA0
_LONG_LENGTH = 0x80
# A two-digit year from here on is of the last century (RFC 5280, section 4.1.2.5.1).
_PIVOT_YEAR = 50


# How many fields of a key stand between nonce and serial number, by the name of the certificate's type.
_SSH_KEY_FIELDS = {
    "ssh-rsa": 2,
    "ssh-dss": 4,
    "ssh-ed25519": 1,
    "ecdsa-sha2-nistp256": 2,
    "ecdsa-sha2-nistp384": 2,
    "ecdsa-sha2-nistp521": 2,
    "sk-ssh-ed25519": 2,
    "sk-ecdsa-sha2-nistp256": 3,
}
_SSH_SERIAL_AND_TYPE_BYTES = 8 + 4
_SSH_FOR_EVER = 2**64 - 1


@dataclass(frozen=True, slots=True)
class Life:
    """From when to when, in seconds since the epoch."""

    not_before: float
    not_after: float

    @property
    def seconds(self) -> float:
        """How long that is."""
        return self.not_after - self.not_before


def life_of(certificate: str) -> Life | None:
    """Return the dates of the first certificate in a text, PEM or bare Base64; None where there is none to be read."""
    found = _PEM.search(certificate)
    try:
        der = binascii.a2b_base64(found.group(1) if found else certificate)
        _, body, _ = _element(der, 0)
        _, fields, _ = _element(body, 0)
        life = _validity(fields)
    except (binascii.Error, IndexError, ValueError):
        return None
    return life if life.seconds > 0 else None


def _validity(fields: bytes) -> Life:
    """Step over the optional version, serial number, algorithm and issuer; what follows are the dates."""
    tag, _, position = _element(fields, 0)
    for _ in range(3 if tag == _EXPLICIT_VERSION else 2):
        _, _, position = _element(fields, position)
    _, dates, _ = _element(fields, position)
    begin_tag, begin, position = _element(dates, 0)
    end_tag, end, _ = _element(dates, position)
    return Life(_moment(begin_tag, begin), _moment(end_tag, end))


def _element(data: bytes, position: int) -> tuple[int, bytes, int]:
    """Return an element's tag and content, and where the next one begins."""
    tag, length = data[position], data[position + 1]
    position += 2
    if length >= _LONG_LENGTH:
        size = length - _LONG_LENGTH
        length = int.from_bytes(data[position : position + size])
        position += size
    if position + length > len(data):
        message = "it ends too soon"
        raise ValueError(message)
    return tag, data[position : position + length], position + length


def _moment(tag: int, text: bytes) -> float:
    digits = text.decode("ascii").removesuffix("Z")
    if tag == _UTC_TIME:
        digits = f"{'19' if int(digits[:2]) >= _PIVOT_YEAR else '20'}{digits}"
    elif tag != _GENERALIZED_TIME:
        message = "it is no moment"
        raise ValueError(message)
    return datetime.strptime(digits, "%Y%m%d%H%M%S").replace(tzinfo=UTC).timestamp()


def life_of_ssh(certificate: str) -> Life | None:
    """Return the dates of an OpenSSH certificate in one line; None where it has no end or there is none to be read."""
    kind, _, rest = certificate.strip().partition(" ")
    fields = _SSH_KEY_FIELDS.get(kind.partition("-cert-v01@openssh.com")[0])
    if fields is None or "-cert-" not in kind:
        return None
    try:
        data = binascii.a2b_base64(rest.partition(" ")[0])
        position = 0
        for _ in range(2 + fields):
            position = _after_ssh_string(data, position)
        position += _SSH_SERIAL_AND_TYPE_BYTES
        for _ in range(2):
            position = _after_ssh_string(data, position)
        begin, end = struct.unpack_from(">QQ", data, position)
    except (binascii.Error, struct.error):
        return None
    return Life(float(begin), float(end)) if begin < end < _SSH_FOR_EVER else None


def _after_ssh_string(data: bytes, position: int) -> int:
    (length,) = struct.unpack_from(">I", data, position)
    return int(position + 4 + length)
