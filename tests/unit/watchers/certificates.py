"""Certificates with dates of the test's choice."""

from __future__ import annotations

from datetime import UTC, datetime

import trustme

BEGIN, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC)


def certificate(begin: datetime = BEGIN, end: datetime = END) -> str:
    """Return one as PEM."""
    made = trustme.CA().issue_cert("web.example", not_before=begin, not_after=end)
    return made.cert_chain_pems[0].bytes().decode()
