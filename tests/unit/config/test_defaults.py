"""Every default, pinned: a change of one is a change for everybody and belongs into the changelog."""

from __future__ import annotations

from pathlib import Path

from tests.unit.config.workbench import BUNDLE, Workbench

_SOURCES = """\
sources:
  vault: {type: vault}
  consul: {type: consul}
"""
_RELOADS = """\
    check: {command: [a]}
    reload:
      - http: {url: "http://a/"}
      - command: [b]
"""


def test_bundle_defaults(bench: Workbench) -> None:
    bundle = bench.load(BUNDLE).settings.bundles["web"]
    assert bundle.model_dump(exclude={"templates", "directory"}) == {
        "publish": "swap",
        "keep": 2,
        "check": None,
        "wait": {"quiet_seconds": 0.2, "max_seconds": 5.0},
        "splay_seconds": 0.0,
        "drift_seconds": 30.0,
        "reload": [],
        "verify": None,
        "on_failure": None,
        "rollout": None,
    }


def test_template_defaults(bench: Workbench) -> None:
    template = bench.load(BUNDLE).settings.bundles["web"].templates[0]
    assert template.model_dump(exclude={"content", "destination"}) == {
        "for_each": None,
        "source": None,
        "mode": 0o640,
        "user": None,
        "group": None,
        "format": None,
        "delimiters": {"variable": ("{{", "}}"), "block": ("{%", "%}"), "comment": ("{#", "#}")},
    }


def test_check_and_reload_defaults(bench: Workbench) -> None:
    bundle = bench.load(BUNDLE + _RELOADS).settings.bundles["web"]
    http, command = bundle.reload
    assert bundle.check is not None
    assert bundle.check.timeout_seconds == 10.0
    assert command.timeout_seconds is None
    assert http.http is not None
    assert http.http.model_dump(exclude={"url"}) == {
        "method": "POST",
        "headers": {},
        "bearer_file": None,
        "body": "",
        "expect": "2xx",
        "timeout_seconds": 5.0,
        "socket": None,
        "tls": None,
    }


def test_source_defaults(bench: Workbench) -> None:
    sources = bench.load(_SOURCES + BUNDLE, {"VAULT_TOKEN": "t"}).settings.sources
    assert sources["vault"].model_dump() == {
        "type": "vault",
        "address": "https://127.0.0.1:8200",
        "namespace": None,
        "tls": None,
        "auth": {"method": "token"},
        "refresh_seconds": 30.0,
        "token_check_seconds": 4.0,
        "revoke_on_exit": False,
        "proxy": None,
        "kv_versions": {},
        "max_requests_per_second": 50.0,
    }
    assert sources["consul"].model_dump() == {
        "type": "consul",
        "address": "http://127.0.0.1:8500",
        "token_file": None,
        "datacenter": None,
        "namespace": None,
        "partition": None,
        "consistency": "default",
        "max_stale_seconds": 10.0,
        "empty_guard": True,
        "max_connections": 32,
        "tls": None,
    }


def test_top_level_defaults(bench: Workbench) -> None:
    config = bench.load(BUNDLE)
    assert config.path == bench.folder / "c.yaml"
    assert config.directory == bench.folder
    assert config.warnings == ()
    assert config.settings.model_dump(exclude={"bundles"}) == {
        "sources": {},
        "primary": None,
        "admin": {"listen": "127.0.0.1:9797"},
        "handover": None,
        "log": {"level": "info", "format": "auto"},
        "pid_file": None,
    }


def test_path_of_the_config_is_absolute_whatever_was_given(bench: Workbench, tmp_path: Path) -> None:
    assert bench.load(BUNDLE).path.is_absolute()
    assert bench.load(BUNDLE).directory == tmp_path
