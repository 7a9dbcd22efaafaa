"""Format checks: what passes, where a fault is said to be, and that no content is ever in the message."""

from __future__ import annotations

import pytest

from confcar.errors import CheckRefusedError
from confcar.model import RenderedFile
from confcar.publishing.checks import check_formats
from confcar.publishing.formats import find_format_fault

SECRET = "hunter2hunter2"
CERTIFICATE = "-----BEGIN CERTIFICATE-----\naGVsbG8gd29ybGQ=\n-----END CERTIFICATE-----\n"
KEY = """-----BEGIN RSA PRIVATE KEY-----
Proc-Type: 4,ENCRYPTED
DEK-Info: X,Y

aGVsbG8=
-----END RSA PRIVATE KEY-----
"""


def _fault(format_: str, content: str | bytes) -> str | None:
    data = content.encode() if isinstance(content, str) else content
    return find_format_fault(RenderedFile("f", data, format=format_))


@pytest.mark.parametrize(
    ("format_", "content"),
    [
        pytest.param("json", '{"a": [1, 2.5e3, null, "ü"]}\n', id="json"),
        pytest.param("yaml", "a: 1\n---\nb: !Ref {c: *x, d: &y 1}\n".replace("*x", "2"), id="yaml-documents-and-tags"),
        pytest.param("yaml", "", id="yaml-empty"),
        pytest.param("toml", "[a]\nb = 1979-05-27T07:32:00Z\n", id="toml"),
        pytest.param("ini", "top = 1\n[a b]\nk: v\n  more: of it\nlone-key\n; c\n# c\n", id="ini"),
        pytest.param("env", "# c\nexport A=1\nB='two\nlines'\nC=\"x\\\"y\"\nD=it's\nE=\n", id="env"),
        pytest.param("env", "A='x' # c\nB=\"y\"'z'\nC='p\nq'  \n", id="env-behind-quotes"),
        pytest.param("xml", '<?xml version="1.0"?><!DOCTYPE a SYSTEM "http://nowhere.invalid/x"><a b="c"/>', id="xml"),
        pytest.param("xml", '<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><a>&e;</a>', id="xml-entity-unread"),
        pytest.param("pem", f"text\n{CERTIFICATE}{CERTIFICATE}", id="pem-chain"),
        pytest.param("pem", KEY.replace("\n", "\r\n"), id="pem-headers-crlf"),
    ],
)
def test_accepts(format_: str, content: str) -> None:
    assert _fault(format_, content) is None


@pytest.mark.parametrize(
    ("format_", "content", "start"),
    [
        pytest.param("json", '{"a": "s",\n "b" 1}', "f:2:6: not JSON: expected `:`", id="json"),
        pytest.param("json", "", "f:1:1: not JSON: ", id="json-empty"),
        pytest.param("json", '{"a": NaN}', "f:1:7: not JSON: ", id="json-nan"),
        pytest.param("json", '{"a": 1} x', "f:1:10: not JSON: trailing characters", id="json-trailing"),
        pytest.param("yaml", "a: 1\n b: 2\n", "f:2:3: not YAML: mapping values are not allowed", id="yaml"),
        pytest.param("yaml", "a: *nope\n", "f:1:4: not YAML: found undefined alias", id="yaml-alias"),
        pytest.param("yaml", "a: \x00b\n", "f:1:4: not YAML: ", id="yaml-nul"),
        pytest.param("yaml", b"a: \xff\n", "f:1:4: not YAML: not UTF-8", id="yaml-bytes"),
        pytest.param("toml", "a = 1\nb = [\n", "f:3:1: not TOML: ", id="toml-end"),
        pytest.param("toml", "a = 1\na = 2\n", "f:2:6: not TOML: Cannot overwrite a value", id="toml-twice"),
        pytest.param("ini", "[a]\nk = v\n[open\n", "f:3:1: not INI: neither a [section] nor key = value", id="ini"),
        pytest.param("ini", "[a]\nthis is prose\n", "f:2:1: not INI: ", id="ini-prose"),
        pytest.param("env", "A=1\nB 2\n", "f:2:1: not an env file: not NAME=value", id="env"),
        pytest.param("env", 'A=1\nB="open\nC=2\n', "f:2:3: not an env file: the quote is not closed", id="env-quote"),
        pytest.param("env", "A='x' rm\n", "f:1:6: not an env file: text behind the quote", id="env-behind-quote"),
        pytest.param("env", 'A="x\ny" rm', "f:2:3: not an env file: text behind the quote", id="env-behind-lines"),
        pytest.param("xml", "<a>\n<b></a>", "f:2:6: not XML: mismatched tag", id="xml"),
        pytest.param("xml", "", "f:1:1: not XML: no element found", id="xml-empty"),
        pytest.param("pem", "no block\n", "f:1:1: not PEM: there is no -----BEGIN", id="pem-none"),
        pytest.param(
            "pem", CERTIFICATE.replace("END CERT", "END KEY"), "f:3:1: not PEM: END does not match", id="pem-end"
        ),
        pytest.param("pem", f"\n{CERTIFICATE[:-30]}", "f:2:1: not PEM: the block does not end", id="pem-open"),
        pytest.param(
            "pem", CERTIFICATE.replace("aGVs", "a?Vs"), "f:2:1: not PEM: the block is not Base64", id="pem-base64"
        ),
        pytest.param(
            "pem",
            CERTIFICATE.replace("aGVs", "aGVs\naGVs\n?aGVs\n"),
            "f:4:1: not PEM: the block is not Base64",
            id="pem-line",
        ),
        pytest.param(
            "pem", CERTIFICATE.replace("bGQ=", "bGQ"), "f:2:1: not PEM: the block is not Base64", id="pem-padding"
        ),
        pytest.param(
            "pem", CERTIFICATE.replace("aGVsbG8gd29ybGQ=\n", ""), "f:1:1: not PEM: the block is empty", id="empty"
        ),
        pytest.param(
            "pem", CERTIFICATE.replace("-\naG", "\naG"), "f:1:1: not PEM: a malformed -----BEGIN", id="pem-dashes"
        ),
    ],
)
def test_refuses_and_says_where(format_: str, content: str | bytes, start: str) -> None:
    fault = _fault(format_, content)
    assert fault is not None
    assert fault.startswith(start), fault


@pytest.mark.parametrize(
    ("format_", "content"),
    [
        pytest.param("json", f'{{"a": {SECRET}}}', id="json"),
        pytest.param("json", f'{{"a": "\\{SECRET}"}}', id="json-escape"),
        pytest.param("yaml", f"a: *{SECRET}\n", id="yaml-alias"),
        pytest.param("yaml", f"a: !{SECRET}!x 1\n", id="yaml-tag-handle"),
        pytest.param("yaml", f"a: &{SECRET} 1\nb: [\n", id="yaml-anchor"),
        pytest.param("yaml", f'a: "\\{SECRET}"\n', id="yaml-escape"),
        pytest.param("toml", f"[{SECRET}]\n[{SECRET}]\n", id="toml-table-twice"),
        pytest.param("toml", f"a = {{{SECRET} = 1, {SECRET} = 2}}\n", id="toml-inline-twice"),
        pytest.param("toml", f"a = {SECRET}\n", id="toml-value"),
        pytest.param("ini", f"[{SECRET}\n", id="ini"),
        pytest.param("env", f"{SECRET} x\n", id="env"),
        pytest.param("xml", f"<a>&{SECRET};</b>", id="xml"),
        pytest.param("pem", f"-----BEGIN {SECRET}-----\n", id="pem"),
    ],
)
def test_message_holds_no_content(format_: str, content: str) -> None:
    fault = _fault(format_, content)
    assert fault is not None
    assert "hunter" not in fault


@pytest.mark.timeout(10)
def test_entities_are_not_blown_up() -> None:
    levels = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    bomb = f'<!DOCTYPE a [<!ENTITY e0 "boom">{levels}]><a>&e11;</a>'
    assert _fault("xml", bomb) is None


@pytest.mark.parametrize(("format_", "opening"), [("json", "["), ("yaml", "["), ("toml", "a = [" + "[" * 10)])
def test_deep_nesting_is_a_fault_and_no_crash(format_: str, opening: str) -> None:
    assert _fault(format_, opening * 20_000) is not None


def test_all_faults_are_told_at_once() -> None:
    bad = [RenderedFile(name, b"{", format="json") for name in ("a", "b")]
    with pytest.raises(CheckRefusedError) as caught:
        check_formats([*bad, RenderedFile("c", b"{")])
    assert [line.partition(":")[0] for line in str(caught.value).splitlines()] == ["a", "b"]
    assert caught.value.exit_code == 5
