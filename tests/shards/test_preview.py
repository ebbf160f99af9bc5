from pathlib import Path

import pytest
from PIL import Image

from shards.manifest import read_manifest
from shards.plan_file import Place
from shards.preview import SampleFacts, SeenSample, seen
from sources.storage import LocalFolder
from tests.shards.conftest import sample_of
from tests.shards.planned import POLICY, places_in, write_shards

NAME = "mid-demo-000000.tar"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Of the second of two samples, with a picture."""
    write_shards(tmp_path, {NAME: [sample_of(1), sample_of(2, "png")]})
    return [place for _, place in places_in(tmp_path / NAME, 0)][1]


def seen_at(root: Path, place: Place) -> SeenSample:
    facts = SampleFacts("demo", "vqa", "CC-BY-4.0", "open", "xray", place.tokens, 1, 1, place)
    return seen(LocalFolder(root), read_manifest(LocalFolder(root)), facts, POLICY)


def test_a_sample_that_cannot_be_read_is_told_and_not_raised(
    tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert seen_at(tmp_path, place).fault == ""
    with monkeypatch.context() as changed:
        changed.setattr(Image, "MAX_IMAGE_PIXELS", 4)  # what makes any picture one of too many pixels
        assert seen_at(tmp_path, place).fault == "cannot be rendered (DecompressionBombError)"
    whole = (tmp_path / NAME).read_bytes()
    for size in (0, place.offset, place.offset + 600):
        (tmp_path / NAME).write_bytes(whole[:size])
        assert seen_at(tmp_path, place).fault == f"{NAME} ends in the sample: truncated"
    (tmp_path / NAME).unlink()
    assert seen_at(tmp_path, place).fault == f"{NAME} cannot be read (FileNotFoundError)"
