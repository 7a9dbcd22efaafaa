"""Clients: one HTTP transport for all, and the Consul and Vault clients that are put on it."""

from __future__ import annotations

from confcar.deferred import defer

# requests guesses with it the encoding of texts that nobody here asks for: 3 MiB, in each process with a server.
defer("charset_normalizer", has_submodules=False)
