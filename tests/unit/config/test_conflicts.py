"""Faults between bundles that are right by themselves."""

from __future__ import annotations

import pytest

from tests.unit.config.workbench import BUNDLE, Workbench

_OTHER = """\
  api:
    directory: {directory}
    templates:
      - {{content: x, destination: {destination}}}
"""


@pytest.mark.parametrize(
    ("directory", "problem"),
    [
        ("out", "the bundle web has the same directory"),
        ("./x/../out", "the bundle web has the same directory"),
        ("out/below", "lies inside the directory of the bundle web"),
        (".", "the directory of the bundle web lies inside it"),
    ],
)
def test_two_bundles_in_one_place(bench: Workbench, directory: str, problem: str) -> None:
    found = bench.problems(BUNDLE + _OTHER.format(directory=directory, destination="b"))
    assert found == [f"c.yaml:7:5: bundles.api.directory: {problem}"]


def test_directories_that_only_begin_alike_are_fine(bench: Workbench) -> None:
    assert bench.problems(BUNDLE + _OTHER.format(directory="outer", destination="b")) == []


@pytest.mark.parametrize(
    ("destination", "problem"),
    [
        ("/nowhere/a", "the bundle web has the same destination"),
        ("{folder}/other/a", "lies in the bundle's own directory; write it relative to that"),
        ("{folder}/out/a", "lies in the directory of the bundle web"),
    ],
)
def test_absolute_destination_that_is_taken(bench: Workbench, destination: str, problem: str) -> None:
    destination = destination.replace("{folder}", str(bench.folder))
    text = BUNDLE.replace("destination: a", "destination: /nowhere/a")
    found = bench.problems(text + _OTHER.format(directory="other", destination=destination))
    assert found == [f"c.yaml:9:22: bundles.api.templates.0.destination: {problem}"]


def test_template_that_is_not_there_is_named(bench: Workbench) -> None:
    found = bench.problems(BUNDLE.replace("content: hello", "source: t/a.j2"))
    assert found == ["c.yaml:5:10: bundles.web.templates.0.source: there is no such file: t/a.j2"]
    (bench.folder / "t").mkdir()
    (bench.folder / "t" / "a.j2").touch()
    assert bench.problems(BUNDLE.replace("content: hello", "source: t/a.j2")) == []


def test_conflict_is_told_beside_other_faults(bench: Workbench) -> None:
    found = bench.problems(BUNDLE + _OTHER.format(directory="out", destination="b") + "log: {levl: x}\n")
    assert found == [
        "c.yaml:7:5: bundles.api.directory: the bundle web has the same directory",
        "c.yaml:10:7: log.levl: unknown key; did you mean level?",
    ]
