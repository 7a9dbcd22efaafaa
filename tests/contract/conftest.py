"""The real servers, as the integration tests have them."""

from __future__ import annotations

from tests.integration.conftest import consul_acl, consul_program, openbao, openbao_program

__all__ = ["consul_acl", "consul_program", "openbao", "openbao_program"]
