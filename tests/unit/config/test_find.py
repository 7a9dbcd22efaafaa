"""Which config is taken."""

from __future__ import annotations

from pathlib import Path

import pytest

from confcar.config.find import find_config
from confcar.errors import ConfigError


def test_option_wins_over_the_variable() -> None:
    assert find_config(Path("a"), {"CONFCAR_CONFIG": "b"}) == Path("a")
    assert find_config(None, {"CONFCAR_CONFIG": "b"}) == Path("b")


@pytest.mark.parametrize("environ", [{}, {"CONFCAR_CONFIG": ""}], ids=["unset", "empty"])
def test_file_beside_us_is_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str]) -> None:
    monkeypatch.chdir(tmp_path)
    Path("confcar.yaml").touch()
    assert find_config(None, environ) == Path("confcar.yaml")


def test_no_config_says_where_one_could_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"--config FILE or CONFCAR_CONFIG, or put it at confcar\.yaml or /etc/"):
        find_config(None, {})
