"""Options that only make sense together: said at once, not at the first login or handshake."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from confcar.config.sources import TlsOptions
from confcar.config.vault_auth import ApproleAuth


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"method": "approle"}, id="none"),
        pytest.param({"method": "approle", "role_id": "a", "role_id_file": "b"}, id="both"),
    ],
)
def test_approle_takes_one_role_id(options: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="either role_id or role_id_file"):
        ApproleAuth.model_validate(options)


def test_a_key_needs_its_certificate() -> None:
    with pytest.raises(ValidationError, match="the key of cert_file, which is missing"):
        TlsOptions.model_validate({"key_file": "k.pem"})
