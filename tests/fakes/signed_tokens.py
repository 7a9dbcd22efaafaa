"""JSON Web Tokens as an identity provider signs them."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa


class Signer:
    """One provider with a key of its own."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    @property
    def public_key(self) -> str:
        """The key's public half, PEM."""
        encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        return self._key.public_key().public_bytes(encoding, form).decode()

    def sign(self, claims: Mapping[str, object], *, life_seconds: float = 600.0) -> str:
        """Return a token with these claims and the usual times."""
        now = int(time.time())
        times = {"iat": now, "nbf": now - 5, "exp": now + int(life_seconds)}
        text = ".".join(
            _encoded(json.dumps(part).encode()) for part in ({"alg": "RS256", "typ": "JWT"}, {**times, **claims})
        )
        signature = self._key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{text}.{_encoded(signature)}"


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
