import pkgutil
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from filters.modality import Labels
from filters.text import TextQuality
from filters.tokens import TokenCounts
from pipelines import exchange, label, near
from pipelines.audit import find, pictures, protect, reading, texts
from pipelines.audit.flow import versions
from pipelines.graph import Graph, graph_of
from pipelines.recipe_file import load_recipe

STEPS = ["ingest", "measure", "modality", "quality", "license", "tokens", "exact", "near_text", "near_image"]
NEAR = [import_module(f"pipelines.near.{module.name}") for module in pkgutil.iter_modules(near.__path__)]


@pytest.fixture
def graph(tmp_path: Path) -> Graph:
    return made(tmp_path)


def made(place: Path) -> Graph:
    source = {"name": "notes", "reader": "jsonl", "path": "*.jsonl", "task": "text", "fields": {"text": "text"}}
    steps = {"modality": {"model": "none"}, "quality": {}}
    path = place / "recipe.yaml"
    path.write_text(yaml.safe_dump({"stage": "mid", "sources": [source], "steps": steps}))
    return graph_of(load_recipe(None, path, ()))


@pytest.mark.parametrize(
    ("owner", "name", "first"),
    [
        (TextQuality, "version", "quality"), (TokenCounts, "version", "tokens"), (Labels, "version", "modality"),
        (label, "LEXICON", "modality"), (label, "WORDS_VERSION", "modality"),
    ],
    ids=["texts", "tokens", "labels", "lexicon", "words"],
)  # fmt: skip
def test_what_facts_are_computed_by_is_in_the_fingerprint_of_the_step_that_reads_them_and_of_those_after_it(
    graph: Graph, tmp_path: Path, owner: object, name: str, first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = graph.fingerprints("ingested")
    assert list(before) == STEPS
    monkeypatch.setattr(owner, name, getattr(owner, name) + 1)
    after = made(tmp_path).fingerprints("ingested")
    assert [step for step in STEPS if before[step] != after[step]] == STEPS[STEPS.index(first) :]


@pytest.mark.parametrize(
    "module", [module for module in NEAR if hasattr(module, "VERSION")], ids=lambda module: module.__name__
)
def test_every_version_of_the_search_for_near_duplicates_is_in_the_fingerprints_of_its_steps(
    graph: Graph, tmp_path: Path, module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = graph.fingerprints("ingested")
    monkeypatch.setattr(module, "VERSION", module.VERSION + 1)
    after = made(tmp_path).fingerprints("ingested")
    about_pictures = module.__name__ in ("pipelines.near.pictures", "pipelines.near.settle")
    first = "near_image" if about_pictures else "near_text"
    assert [step for step in STEPS if before[step] != after[step]] == STEPS[STEPS.index(first) :]


def test_the_version_of_the_exchange_is_in_the_fingerprint_of_what_decides_by_it(
    graph: Graph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = graph.fingerprints("ingested")
    monkeypatch.setattr(exchange, "VERSION", exchange.VERSION + 1)
    after = made(tmp_path).fingerprints("ingested")
    assert [step for step in STEPS if before[step] != after[step]] == STEPS[STEPS.index("exact") :]


@pytest.mark.parametrize("module", [reading, protect, texts, pictures, find], ids=lambda module: module.__name__)
def test_every_version_of_the_search_for_eval_items_is_a_parameter_of_its_step(
    module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = versions()
    monkeypatch.setattr(module, "VERSION", module.VERSION + 1)
    assert versions() != before


def test_the_same_recipe_has_the_same_fingerprints_and_each_step_one_of_its_own(graph: Graph, tmp_path: Path) -> None:
    assert made(tmp_path).fingerprints("ingested") == graph.fingerprints("ingested")
    assert len(set(graph.fingerprints("ingested").values())) == len(STEPS)
