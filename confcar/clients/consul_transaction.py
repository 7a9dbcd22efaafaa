"""Many keys in one request: Consul's transaction, of reads only.

Up to 64 keys of any folders cost little more than one. A transaction fails as a whole where a key is not there, but
names all such keys, and is made again without them; the verb that would take a missing key for an empty one
(`get-or-empty`) is too new for many a Consul. What the token may not read is left out without a word. py-consul's own
call passes no datacenter on, so the request is made here.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any

from confcar.clients.consul_answer import Reply
from confcar.clients.consul_errors import not_consul
from confcar.clients.consul_http import Call, Http

_DONE, _ROLLED_BACK = 200, 409
_ABSENT_WORDS = "doesn't exist"


def read_keys(http: Http, keys: Sequence[str], datacenter: str | None) -> Reply:
    """Return those of up to 64 keys that are there and may be read, as they are at one moment.

    The result is an index and a mapping. A transaction has no index of its own; that of the newest key shows as well
    whether one server is behind another.

    Raises:
        SourceUnavailableError: No answer, an answer that is not Consul's, 429 or 5xx; worth a retry.
        SourceDeniedError: The token is unknown, or cannot be read.
        SourceDataError: The request is refused for another reason, or redirected.
    """
    rest = list(keys)
    while True:
        response, had_token = http.exchange(_call(http, rest, datacenter))
        try:
            document = json.loads(response.data)
            missing = {rest[number] for number in _missing(document)}
            if not missing or len(missing) == len(rest):
                found = [result["KV"] for result in document["Results"] or ()]
                index = max((each["ModifyIndex"] for each in found), default=0)
                entries = {each["Key"]: base64.b64decode(each["Value"] or "") for each in found}
                return Reply((index, entries), response.headers, had_token)
        except (LookupError, TypeError, ValueError, AttributeError):
            raise not_consul(http.server, "unknown content") from None
        rest = [key for key in rest if key not in missing]


def _call(http: Http, keys: Sequence[str], datacenter: str | None) -> Call:
    options = http.options
    name = datacenter or options.datacenter
    params = [("dc", name)] if name else []
    tenancy = {"Namespace": options.namespace, "Partition": options.partition}
    more = {name: value for name, value in tenancy.items() if value}
    body = json.dumps([{"KV": {"Verb": "get", "Key": key, **more}} for key in keys]).encode()
    accepted = frozenset({_DONE, _ROLLED_BACK})
    return Call("PUT", "/v1/txn", params, {"Content-Type": "application/json"}, body, accepted)


def _missing(document: Any) -> list[int]:  # noqa: ANN401 - a JSON document
    faults = document["Errors"] or ()
    for fault in faults:
        if _ABSENT_WORDS not in fault["What"]:
            raise ValueError(_ABSENT_WORDS)
    return [fault["OpIndex"] for fault in faults]
