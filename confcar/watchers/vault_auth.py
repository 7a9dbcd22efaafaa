"""Which class logs in by which method. A new method is a class that fulfils `Login`, and a row in LOGINS.

A module is imported only where the config names a method of its.
"""

from __future__ import annotations

from importlib import import_module
from typing import cast

from confcar.config.sources import VaultOptions
from confcar.watchers.vault_login import Login

LOGINS = {
    "token": "confcar.watchers.vault_given:TokenLogin",
    "token_file": "confcar.watchers.vault_given:TokenFileLogin",
    "approle": "confcar.watchers.vault_approle:ApproleLogin",
    "kubernetes": "confcar.watchers.vault_identity:KubernetesLogin",
    "jwt": "confcar.watchers.vault_identity:JwtLogin",
    "cert": "confcar.watchers.vault_identity:CertLogin",
    "userpass": "confcar.watchers.vault_password:UserpassLogin",
    "ldap": "confcar.watchers.vault_password:LdapLogin",
}


def create_login(options: VaultOptions, *, is_preview: bool = False) -> Login:
    """Return the configured way to log in. Reads and connects to nothing yet.

    Args:
        options: As configured.
        is_preview: Whether it must use nothing up that serves only once.
    """
    if is_preview and options.auth.method == "approle" and options.auth.wrapped:
        module, attribute = "confcar.watchers.vault_approle", "UnwrappableLogin"
    else:
        module, _, attribute = LOGINS[options.auth.method].partition(":")
    return cast("Login", getattr(import_module(module), attribute)(options))
