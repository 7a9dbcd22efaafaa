"""The status page for people: one template, filled on the server, complete without a script.

Shows the document of /status and nothing else. All text is escaped; the policy allows the page's own style and script
by their hashes, and nothing from anywhere else.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import re
import time
from collections import Counter
from pathlib import Path

from jinja2 import Environment, StrictUndefined, Template

from confcar.admin.documents import status_document
from confcar.admin.times import in_words, seconds_since
from confcar.status import StatusCopy

_FILE = Path(__file__).with_name("page.html.j2")
_INLINE = re.compile(r"<(style|script)>(.*?)</\1>", re.DOTALL)


def render_page(copy: StatusCopy, version: str, *, now: float | None = None) -> bytes:
    """Return the page as UTF-8; *now* is seconds since the epoch, None for the clock's."""
    at = time.time() if now is None else now
    document = status_document(copy, version)
    states = Counter(bundle.state for bundle in copy.bundles.values())
    text = _template().render(status=document, late=copy.late, states=states, now=at)
    return text.encode()


@functools.cache
def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"since": seconds_since, "in_words": in_words, "detail": _detail}
    return environment.from_string(_FILE.read_text())


def _detail(value: float, name: str) -> str:
    """Return one of a source's own numbers in words: what is called seconds is a time that is left."""
    return f"{in_words(value)} left" if name.endswith("_seconds") else f"{value:g}"


def _policy() -> str:
    """Return a policy under which nothing runs or loads but what stands in the template."""
    hashes: dict[str, str] = {}
    for kind, text in _INLINE.findall(_FILE.read_text()):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        hashes[kind] = f"'sha256-{digest}'"
    return (
        f"default-src 'none'; style-src {hashes['style']}; script-src {hashes['script']}; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


HEADERS = (("Content-Security-Policy", _policy()), ("Referrer-Policy", "no-referrer"))
"""What is sent with the page."""
