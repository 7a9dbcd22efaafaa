"""HTTP reloads: what is sent, what counts as success, and what an error may say."""

from __future__ import annotations

import base64
import ssl
import time
from pathlib import Path
from typing import Any

import pytest
import trustme

from confcar import __version__
from confcar.config.http import HttpOptions
from confcar.errors import EndpointRefusedError, ReloadError
from confcar.log import MASK, Redactor
from confcar.model import Change
from confcar.reloaders.endpoint import EndpointReloader
from tests.fakes.reload_endpoint import Endpoint, running_endpoint
from tests.waiting import free_port

TOKEN = "bearer-token-4711"


def reload(url: str, change: Change, **options: Any) -> Redactor:  # noqa: ANN401 - the model's own fields
    redactor = Redactor()
    EndpointReloader(HttpOptions.model_validate({"url": url, **options}), redactor).reload(change)
    return redactor


def failure(endpoint: Endpoint, change: Change, **options: Any) -> str:  # noqa: ANN401 - the model's own fields
    with pytest.raises(ReloadError) as caught:
        reload(endpoint.url, change, **options)
    assert caught.value.exit_code == 7
    assert caught.value.retryable
    return str(caught.value)


def test_request_is_a_post_that_names_generation_bundle_and_sender(change: Change) -> None:
    with running_endpoint() as endpoint:
        reload(endpoint.url, change)
    [(method, path, headers, body)] = endpoint.requests
    assert (method, path, body) == ("POST", "/-/reload", b"")
    assert headers["confcar-generation"] == "7"
    assert headers["confcar-bundle"] == "web"
    assert headers["user-agent"] == f"confcar/{__version__}"
    assert headers["connection"] == "close"
    assert headers["content-length"] == "0"


def test_method_headers_query_and_body_are_sent_as_configured(change: Change) -> None:
    with running_endpoint() as endpoint:
        url = f"{endpoint.url}?force=1"
        given = {"user-agent": "mine", "X-Reason": "confcar", "confcar-generation": "1"}
        reload(url, change, method="PUT", headers=given, body="Zoë")
    [(method, path, headers, body)] = endpoint.requests
    assert (method, path, body.decode()) == ("PUT", "/-/reload?force=1", "Zoë")
    assert headers["user-agent"] == "mine"
    assert headers["x-reason"] == "confcar"
    assert headers["confcar-generation"] == "7", "not what the config says"


def test_url_without_a_path_asks_for_the_root(change: Change) -> None:
    with running_endpoint() as endpoint:
        reload(f"http://127.0.0.1:{endpoint.port}", change, method="GET")
    assert endpoint.requests[0][:2] == ("GET", "/")


@pytest.mark.parametrize(
    ("status", "expect"),
    [
        pytest.param(200, "2xx", id="200"),
        pytest.param(204, "2xx", id="204"),
        pytest.param(299, "2xx", id="299"),
        pytest.param(204, "200,204", id="list"),
        pytest.param(404, "2xx, 404", id="list with blank"),
    ],
)
def test_expected_status_is_a_success(change: Change, status: int, expect: str) -> None:
    with running_endpoint() as endpoint:
        endpoint.status = status
        reload(endpoint.url, change, expect=expect)
    assert len(endpoint.requests) == 1


@pytest.mark.parametrize(
    ("status", "expect"),
    [
        pytest.param(404, "2xx", id="404"),
        pytest.param(500, "2xx", id="500"),
        pytest.param(201, "200,204", id="not in the list"),
    ],
)
def test_other_status_is_a_failure_that_names_both(change: Change, status: int, expect: str) -> None:
    with running_endpoint() as endpoint:
        endpoint.status = status
        message = failure(endpoint, change, expect=expect)
    assert message == f"POST {endpoint.url} answered {status} where {expect} is expected"


@pytest.mark.parametrize("expect", ["2xx", "3xx", "302"])
def test_redirect_is_never_a_success_and_is_not_followed(change: Change, expect: str) -> None:
    with running_endpoint() as endpoint:
        endpoint.status, endpoint.headers = 302, {"Location": f"{endpoint.url}/other"}
        message = failure(endpoint, change, expect=expect)
    assert "answered 302, a redirect; a redirect is not a success, give the final URL" in message
    assert len(endpoint.requests) == 1


def test_answer_is_shown_masked_cut_and_on_one_line(change: Change, tmp_path: Path) -> None:
    bearer = tmp_path / "token"
    bearer.write_text(TOKEN)
    with running_endpoint() as endpoint:
        endpoint.status, endpoint.body = 500, f"no\x1b[31m\n{TOKEN} ".encode() + b"x" * 1000 + b"\xff"
        message = failure(endpoint, change, bearer_file=bearer)
    shown = message.partition("is expected: ")[2]
    assert shown.startswith(f"no [31m {MASK} xxx")
    assert len(shown) == 203
    assert TOKEN not in message


def test_bearer_file_is_read_again_at_each_request(change: Change, tmp_path: Path) -> None:
    bearer = tmp_path / "token"
    with running_endpoint() as endpoint:
        for token in ("first-token", "second-token"):
            bearer.write_text(f"{token}\n")
            redactor = reload(endpoint.url, change, bearer_file=bearer)
            assert redactor.mask(token) == MASK
    assert [request[2]["authorization"] for request in endpoint.requests] == [
        "Bearer first-token",
        "Bearer second-token",
    ]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(None, "No such file or directory", id="missing"),
        pytest.param(b" \n", "is empty", id="empty"),
        pytest.param(b"token-one\nToken: two", "must hold one token and nothing else", id="two lines"),
        pytest.param("tökén".encode(), "must hold one token and nothing else", id="not ASCII"),
        pytest.param(b"\xff\xfe\x00", "is not text", id="binary"),
    ],
)
def test_bearer_file_that_holds_no_token_makes_no_request(
    change: Change, tmp_path: Path, content: bytes | None, words: str
) -> None:
    bearer = tmp_path / "token"
    if content is not None:
        bearer.write_bytes(content)
    with running_endpoint() as endpoint:
        message = failure(endpoint, change, bearer_file=bearer)
    assert words in message
    assert str(bearer) in message
    assert "token-one" not in message
    assert endpoint.requests == []


def test_user_and_password_in_the_url_are_sent_as_basic_and_never_shown(change: Change) -> None:
    with running_endpoint() as endpoint:
        endpoint.status, endpoint.body = 403, b"bad password p@ssword-1"
        url = endpoint.url.replace("http://", "http://app:p%40ssword-1@") + "?key=query-secret"
        with pytest.raises(EndpointRefusedError) as caught:
            reload(url, change)
    encoded = base64.b64encode(b"app:p@ssword-1").decode()
    assert endpoint.requests[0][2]["authorization"] == f"Basic {encoded}"
    assert str(caught.value) == f"POST {endpoint.url} answered 403 where 2xx is expected: bad password {MASK}"


def test_credential_in_a_configured_header_is_masked(change: Change) -> None:
    with running_endpoint() as endpoint:
        redactor = reload(endpoint.url, change, headers={"X-Api-Key": "key-of-the-app", "Accept": "text/plain"})
    assert redactor.mask("key-of-the-app text/plain") == f"{MASK} text/plain"


@pytest.mark.parametrize(
    "value", [pytest.param("secret\r\nX-Evil: 1", id="line break"), pytest.param("secr€t", id="€")]
)
def test_header_that_http_cannot_carry_is_an_error_without_its_value(change: Change, value: str) -> None:
    with running_endpoint() as endpoint:
        message = failure(endpoint, change, headers={"X-Token": value})
    assert "what HTTP does not allow" in message
    assert "secr" not in message.partition(endpoint.url)[2]


def test_nobody_there_is_refused_in_the_kernels_words(change: Change) -> None:
    with pytest.raises(EndpointRefusedError, match="cannot be reached: Connection refused"):
        reload(f"http://127.0.0.1:{free_port()}/-/reload", change)


@pytest.mark.parametrize("behaviour", ["hang", "trickle"])
def test_endpoint_that_does_not_end_its_answer_is_given_up_in_time(change: Change, behaviour: str) -> None:
    with running_endpoint() as endpoint:
        endpoint.behaviour = behaviour
        started = time.monotonic()
        message = failure(endpoint, change, timeout="300ms")
        assert time.monotonic() - started < 1.5
    assert message.endswith("did not answer within 0.3 s")


def test_connection_that_is_closed_without_an_answer_is_refused_and_not_repeated(change: Change) -> None:
    with running_endpoint() as endpoint:
        endpoint.behaviour = "close"
        message = failure(endpoint, change)
    assert "cannot be reached: " in message
    assert len(endpoint.requests) == 1


def test_unix_socket_is_connected_to_whatever_the_host_is(change: Change, tmp_path: Path) -> None:
    path = tmp_path / "s"
    with running_endpoint(unix=path) as endpoint:
        reload("http://app.example/-/reload", change, socket=path)
    assert endpoint.requests[0][2]["host"] == "app.example"


def test_missing_unix_socket_is_named(change: Change, tmp_path: Path) -> None:
    with pytest.raises(EndpointRefusedError, match="No such file or directory") as caught:
        reload("http://app.example/-/reload", change, socket=tmp_path / "s")
    assert str(tmp_path / "s") in str(caught.value)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def server_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


def test_tls_with_the_configured_authority_succeeds(
    change: Change, tmp_path: Path, authority: trustme.CA, server_context: ssl.SSLContext
) -> None:
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    with running_endpoint(tls=server_context) as endpoint:
        reload(endpoint.url.replace("http:", "https:"), change, tls={"ca_file": ca_file})
    assert len(endpoint.requests) == 1


def test_certificate_of_an_unknown_authority_is_refused_with_the_reason(
    change: Change, server_context: ssl.SSLContext
) -> None:
    words = "its certificate is refused: unable to get local issuer"
    with running_endpoint(tls=server_context) as endpoint, pytest.raises(EndpointRefusedError, match=words):
        reload(endpoint.url.replace("http:", "https:"), change)
    assert endpoint.requests == []


def test_missing_authority_file_is_named(change: Change, tmp_path: Path) -> None:
    with pytest.raises(ReloadError) as caught:
        reload("https://127.0.0.1:1/", change, tls={"ca_file": tmp_path / "gone.pem"})
    assert str(tmp_path / "gone.pem") in str(caught.value)


def test_url_that_cannot_be_read_is_an_error_without_its_password(change: Change) -> None:
    with pytest.raises(ReloadError) as caught:
        reload("http://app:hunter2hunter2@[::1/x", change)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_port_that_is_none_is_an_error_without_the_password(change: Change) -> None:
    with pytest.raises(ReloadError, match="what HTTP does not allow") as caught:
        reload("http://app:hunter2hunter2@127.0.0.1:99999/x", change)
    assert "hunter2" not in str(caught.value)
