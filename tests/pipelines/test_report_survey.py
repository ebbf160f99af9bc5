import dataclasses
import itertools
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.errors import ConservationError
from pipelines.report.parts import published_parts
from pipelines.report.survey import (
    DIMENSIONS,
    EDGES,
    NO_CODE,
    NO_PICTURE,
    NOT_STATED,
    SEVERAL,
    Survey,
    check_survey,
    committed_survey,
    surveyed,
)
from pipelines.work import Work
from sources.storage import LocalFolder
from tests.pipelines.report_runs import Made, MadeRun, Picture, random_samples


def survey_of(run: MadeRun) -> Survey:
    folder = LocalFolder(run.place)
    return surveyed(folder, published_parts(folder))


def run_of(place: Path, samples: list[Made], pictures: list[Picture], cuts: list[int]) -> MadeRun:
    """The samples cut into fragments; all pictures are first met in the first one."""
    ends = [0, *sorted(cut % (len(samples) + 1) for cut in cuts), len(samples)]
    fragments = [samples[start:stop] for start, stop in itertools.pairwise(ends)]
    return MadeRun(place, fragments, [pictures, *([] for _ in fragments[1:])]).write()


def bin_of(value: int) -> str:
    return str(max(edge for edge in EDGES.tolist() if edge <= value))


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(1, 60), cuts=st.lists(st.integers(0, 60), max_size=3))
def test_it_counts_what_a_plain_loop_over_the_samples_counts(
    places: Path, seed: int, count: int, cuts: list[int]
) -> None:
    samples, pictures = random_samples(seed, count)
    place = places / f"{seed}-{count}-{len(list(places.iterdir()))}"
    found = survey_of(run_of(place, samples, pictures, cuts))
    modality = {picture.image_id: picture.modality for picture in pictures}
    shown = {image for sample in samples if sample.outcome == "kept" for image in sample.images}

    def value(sample: Made, dimension: str) -> str:
        if dimension != "modality":
            return getattr(sample, dimension) or NOT_STATED
        kinds = {modality[image] for image in sample.images}
        return NO_PICTURE if not kinds else SEVERAL if len(kinds) > 1 else kinds.pop()

    for dimension in DIMENSIONS:
        counted = {
            (name, outcome): number
            for name, row in found.groups[dimension].items()
            for outcome, number in zip(("kept", "dropped", "quarantined"), row[:3], strict=True)
            if number
        }
        assert counted == Counter((value(sample, dimension), sample.outcome) for sample in samples)
    assert found.kept_tokens == sum(sample.tokens for sample in samples if sample.outcome == "kept")
    lost = Counter((s.reason, s.step, s.outcome, s.source) for s in samples if s.reason)
    assert {tuple(row[:4]): row[4] for row in found.losses} == lost
    reached = [sample for sample in samples if sample.step in (None, "tokens", "exact")]
    kept, gone = ([s for s in reached if (s.outcome == "kept") is want] for want in (True, False))
    tokens = {edge: [sum(bin_of(s.tokens) == edge for s in part) for part in (kept, gone)] for edge in found.tokens}
    assert found.tokens == tokens
    assert sum(map(sum, found.tokens.values())) == len(reached)
    sides = Counter((bin_of(min(p.width, p.height)), p.image_id in shown) for p in pictures)
    assert {(edge, n == 0): c for edge, row in found.sides.items() for n, c in enumerate(row) if c} == sides


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), cuts=st.lists(st.integers(0, 60), min_size=1, max_size=4))
def test_it_does_not_depend_on_how_the_samples_are_cut_into_fragments(places: Path, seed: int, cuts: list[int]) -> None:
    samples, pictures = random_samples(seed, 60)
    name = f"{seed}-{len(list(places.iterdir()))}"
    whole = survey_of(run_of(places / f"{name}-whole", samples, pictures, []))
    cut = survey_of(run_of(places / f"{name}-cut", samples, pictures, cuts))
    unplaced = [[example._replace(part=0) for example in one.examples] for one in (whole, cut)]
    assert unplaced[0] == unplaced[1]
    assert dataclasses.replace(whole, examples=[]) == dataclasses.replace(cut, examples=[])


def test_a_picture_first_met_in_another_fragment_counts_for_every_sample_that_shows_it(tmp_path: Path) -> None:
    shared = Picture("a" * 32, modality="ct", format="dicom")
    fragments = [[Made("0" * 32, images=(shared.image_id,))], [Made("1" * 32, images=(shared.image_id,))]]
    found = survey_of(MadeRun(tmp_path, fragments, [[shared], []]).write())
    assert found.groups["modality"] == {"ct": [2, 0, 0, 40]}
    assert found.sides == {"91": [1, 0]}
    assert {(one.image_id, one.image_part) for one in found.examples} == {(shared.image_id, 0)}


def test_members_are_the_suffixes_that_kept_pictures_have_in_shards(tmp_path: Path) -> None:
    jpeg, png, dicom = Picture("a" * 32), Picture("b" * 32, format="png"), Picture("c" * 32, format="dicom")
    samples = [
        Made("0" * 32, images=(jpeg.image_id,)),
        Made("1" * 32, images=(dicom.image_id, jpeg.image_id)),
        Made("2" * 32, images=(png.image_id,), step="exact", verdict="drop", reason="exact.text"),
    ]
    found = survey_of(MadeRun(tmp_path, [samples], [[jpeg, png, dicom]]).write())
    assert found.members == ["jpg", "0.png", "1.jpg"]


def test_what_told_the_modality_is_counted_by_picture(tmp_path: Path) -> None:
    names = ("model", "dicom", "model", "none")
    told = [Picture(f"{number:032x}", modality_from=name) for number, name in enumerate(names)]
    samples = [Made(f"{number:032x}", images=(one.image_id,)) for number, one in enumerate([*told, told[0]])]
    run = MadeRun(tmp_path, [samples[:2], samples[2:]], [told[:2], told[2:]]).write()
    assert survey_of(run).told_by == {"none": 1, "dicom": 1, "model": 2}


def test_a_picture_that_did_not_decode_leaves_the_modality_unknown(tmp_path: Path) -> None:
    broken = Made("0" * 32, images=("",), step="measure", verdict="quarantine", reason="image.undecodable")
    found = survey_of(MadeRun(tmp_path, [[broken]], [[]]).write())
    assert found.groups["modality"] == {"unknown": [0, 0, 1, 0]}


def test_what_is_no_language_code_is_not_repeated(tmp_path: Path) -> None:
    languages = ["en", "pt-BR", None, "Mrs Example", "1999-12-31", "x" * 5000, ""]
    samples = [Made(f"{number:032x}", language=language) for number, language in enumerate(languages)]
    found = survey_of(MadeRun(tmp_path, [samples], [[]]).write())
    counted = {name: sum(row[:3]) for name, row in found.groups["language"].items()}
    assert counted == {"en": 1, "pt-BR": 1, NOT_STATED: 1, NO_CODE: 4}


def test_a_run_without_a_single_sample_is_empty(tmp_path: Path) -> None:
    found = survey_of(MadeRun(tmp_path, [], []).write())
    assert found == Survey()


def test_the_examples_of_a_reason_are_the_smallest_ids_of_each_source(tmp_path: Path) -> None:
    samples, pictures = random_samples(3, 200)
    found = survey_of(run_of(tmp_path, samples, pictures, [50, 120]))
    for source in ("films", "notes", "scans"):
        ids = sorted(s.sample_id for s in samples if s.source == source and s.reason == "exact.text")
        shown = [one.sample_id for one in found.examples if (one.reason, one.source) == ("exact.text", source)]
        assert shown == ids[: len(shown)]
        assert len(shown) >= min(len(ids), 6)


def test_tables_that_do_not_hold_what_was_counted_are_an_error(tmp_path: Path) -> None:
    samples, pictures = random_samples(5, 30)
    run = run_of(tmp_path, samples, pictures, [])
    found = survey_of(run)
    check_survey(run.run, found)
    counts = run.run["counts"] | {"kept": run.run["counts"]["kept"] + 1}
    with pytest.raises(ConservationError, match="the tables hold"):
        check_survey(run.run | {"counts": counts}, found)


def test_bins_are_half_octaves_with_whole_numbers_as_ends() -> None:
    assert EDGES[:12].tolist() == [0, 1, 2, 3, 4, 6, 8, 12, 16, 23, 32, 46]
    assert (np.diff(EDGES) > 0).all()
    assert EDGES[-1] > 2**31


def test_a_survey_is_kept_with_the_work_and_found_again(tmp_path: Path) -> None:
    samples, pictures = random_samples(9, 40)
    run = run_of(tmp_path, samples, pictures, [11])
    folder = LocalFolder(run.place)
    parts = published_parts(folder)
    first = committed_survey(Work(folder), "print", parts)
    folder.delete_tree("tables")
    assert committed_survey(Work(folder), "print", parts) == first
    with pytest.raises(FileNotFoundError):
        committed_survey(Work(folder), "another", parts)
