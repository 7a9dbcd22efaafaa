"""Filters that encode, digest and quote texts. No error of theirs shows a value."""

from __future__ import annotations

import re

from confcar.rendering.faults import TemplateFault, text_of_value

_PLAIN_IN_ENV = re.compile(r"[A-Za-z0-9_./:@%+,=-]+")
_CANNOT_STAND = "a zero byte cannot stand in"


def b64encode(value: object, *, urlsafe: bool = False) -> str:
    """Encode the UTF-8 bytes of a text as base64, with *urlsafe* in the alphabet that URLs and file names allow."""
    from base64 import b64encode as encode

    return encode(text_of_value(value).encode(), b"-_" if urlsafe else None).decode()


def b64decode(value: object) -> str:
    """Decode base64, also the URL-safe form and without padding, to text."""
    from base64 import b64decode as decode
    from binascii import Error

    text = "".join(text_of_value(value).split()).replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return decode(text + "=" * (-len(text) % 4), validate=True).decode()
    except UnicodeDecodeError as error:
        message = "b64decode: what is encoded is not UTF-8 text"
        raise TemplateFault(message) from error
    except (Error, ValueError) as error:
        message = "b64decode: not base64"
        raise TemplateFault(message) from error


def _digest(algorithm: str, value: object) -> str:
    from hashlib import new

    return new(algorithm, text_of_value(value).encode(), usedforsecurity=False).hexdigest()


def sha256(value: object) -> str:
    """SHA-256 of a text's UTF-8 bytes, in hex."""
    return _digest("sha256", value)


def sha512(value: object) -> str:
    """SHA-512 of a text's UTF-8 bytes, in hex."""
    return _digest("sha512", value)


def md5(value: object) -> str:
    """MD5 of a text's UTF-8 bytes, in hex: for formats that ask for it, not for security."""
    return _digest("md5", value)


def hmac_sha256(value: object, key: object) -> str:
    """HMAC of a text with the UTF-8 bytes of *key*, by SHA-256, in hex."""
    from hmac import digest

    return digest(text_of_value(key).encode(), text_of_value(value).encode(), "sha256").hex()


def url_quote(value: object) -> str:
    """Percent-encode all of a text but letters, digits and `-._~`, so that it is one part of a URL."""
    from urllib.parse import quote as percent_encode

    return percent_encode(text_of_value(value), safe="")


def quote(value: object) -> str:
    """Quote a text so that a shell takes it as one word."""
    from shlex import quote as quote_word

    return quote_word(_without_zero(value, "a word of a shell"))


def env_quote(value: object) -> str:
    """Quote a text as a value in a .env file, as a shell, systemd and Docker Compose read it."""
    text = _without_zero(value, "a .env file")
    if _PLAIN_IN_ENV.fullmatch(text):
        return text
    if "'" not in text:
        return f"'{text}'"
    return '"' + re.sub(r'([\\"$`])', r"\\\1", text) + '"'


def _without_zero(value: object, where: str) -> str:
    text = text_of_value(value)
    if "\0" in text:
        message = f"{_CANNOT_STAND} {where}"
        raise TemplateFault(message)
    return text
