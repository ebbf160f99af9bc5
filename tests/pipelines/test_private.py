"""One answer to what no page shows, whoever asks."""

from pathlib import Path

import orjson
import pytest

from pipelines.phi.settings import PhiSettings
from pipelines.private import private_among, private_in, private_sources
from sources.cards import Card, Layout, catalogue
from sources.identity import Identity
from sources.records import Corpus
from sources.storage import LocalFolder
from tests.pipelines.report_runs import Made, MadeRun


def corpus(place: Path, name: str, reader: str, access: str, identifiers: str) -> Corpus:
    said = {"name": name, "reader": reader, "access": access, "identifiers": identifiers}
    card = Card.model_validate({**said, "task": "caption", "layout": Layout(files=("*",))})
    return Corpus(name, LocalFolder(place), card, Identity(name, b"a-key" * 4 if card.keyed else None), ())


def run_of(place: Path, one: Corpus, **phi: object) -> MadeRun:
    """A run of one source as a build writes it down."""
    keyed = (one.name,) if one.identity.keyed else ()
    credentialed = (one.name,) if one.card.access == "credentialed" else ()
    run = MadeRun(place, [[Made("1" * 32, source=one.name)]], [[]], keyed, credentialed).write()
    recipe = run.run["identity"]["recipe"]
    recipe["sources"] = [{"name": one.name, "reader": one.card.reader}]
    recipe["steps"]["phi"] = {"enabled": True, "sources": "keyed", **phi}
    (place / "run.json").write_bytes(orjson.dumps(run.run))
    return run


def test_only_sources_that_are_told_to_be_public_and_are_not_credentialed_are_shown(tmp_path: Path) -> None:
    samples = [Made(f"{number:032x}", source=name) for number, name in enumerate(("a", "b", "c", "d"))]
    run = MadeRun(tmp_path, [samples], [[]], keyed=("b",), credentialed=("c",)).write().run
    del run["inputs"][3]["identifiers"]
    assert private_sources(run) == {"b", "c", "d"}


@pytest.mark.parametrize("sources", ["keyed", "all"])
@pytest.mark.parametrize("reader", ["jsonl", "dicom"])
@pytest.mark.parametrize("access", ["open", "gated", "credentialed"])
@pytest.mark.parametrize("identifiers", ["public", "keyed"])
def test_of_a_source_that_is_searched_for_identifiers_no_page_shows_anything(
    tmp_path: Path, sources: str, reader: str, access: str, identifiers: str
) -> None:
    one = corpus(tmp_path, "ward", reader, access, identifiers)
    run = run_of(tmp_path, one, sources=sources)
    covered = PhiSettings.model_validate({"sources": sources}).covers(one)
    expected = {"ward"} if covered else set()
    assert private_sources(run.run) == expected
    assert private_in([str(tmp_path)]) == expected
    assert private_in([str(tmp_path / "shards")]) == expected
    if sources == "keyed":
        assert private_among([one]) == expected


def test_without_the_search_sources_that_tell_of_people_stay_hidden_and_others_are_shown(tmp_path: Path) -> None:
    scans, notes = corpus(tmp_path, "scans", "dicom", "open", "public"), corpus(tmp_path, "n", "csv", "open", "public")
    assert private_sources(run_of(tmp_path, scans, enabled=False, sources="all").run) == {"scans"}
    assert private_sources(run_of(tmp_path, notes, enabled=False, sources="all").run) == set()


def test_a_name_of_the_catalogue_counts_for_what_its_card_says(tmp_path: Path) -> None:
    assert catalogue()["mimic_cxr"].keyed
    one = corpus(tmp_path, "mimic_cxr", "jsonl", "open", "public")
    assert private_sources(run_of(tmp_path, one).run) == private_among([one]) == {"mimic_cxr"}
