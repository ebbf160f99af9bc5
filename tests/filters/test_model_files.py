"""A model that is named by the hub: from a cache as huggingface_hub lays it out, and from a hub on loopback."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from filters.biomedclip import FILES, BiomedClip
from filters.model_files import cached_directory, check_name, model_directory
from filters.torch_file import WeightsError
from tests.sources.hub_server import COMMIT, REPOSITORY, Hub, serving

NAME = f"hf-hub:{REPOSITORY}@{COMMIT}"
WEIGHTS = b"weights"
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()
PUBLISHED = {
    "open_clip_config.json": b"{}", "open_clip_pytorch_model.bin": WEIGHTS, "vocab.txt": b"[PAD]", "README.md": b"#",
}  # fmt: skip


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """This machine's cache of the hub, empty; the library reads its place once, from HF_HOME."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    for name in ("HF_TOKEN", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    model_directory.cache_clear()
    yield tmp_path / "cache"
    model_directory.cache_clear()


@pytest.fixture
def hub(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub that has the model, and that this process asks."""
    from huggingface_hub import constants

    repository = tmp_path / "repository"
    repository.mkdir()
    for file, data in PUBLISHED.items():
        (repository / file).write_bytes(data)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with serving(repository, "models") as served:
        monkeypatch.setenv("HF_ENDPOINT", served.url)
        yield served


def snapshot(cache: Path, files: dict[str, bytes]) -> Path:
    """The files in a cache, each a link to what holds its bytes, as huggingface_hub lays them out."""
    model = cache / f"models--{REPOSITORY.replace('/', '--')}"
    place = model / "snapshots" / COMMIT
    place.mkdir(parents=True)
    (model / "blobs").mkdir()
    for name, data in files.items():
        blob = model / "blobs" / hashlib.sha256(data).hexdigest()
        blob.write_bytes(data)
        (place / name).symlink_to(Path("..", "..", "blobs", blob.name))
    return place


def test_a_directory_stays_what_it_is(tmp_path: Path) -> None:
    assert model_directory(str(tmp_path), FILES) == str(tmp_path)


def test_a_hub_name_is_the_snapshot_in_the_cache_whose_weights_must_have_the_hash(cache: Path) -> None:
    place = snapshot(cache, PUBLISHED)
    assert Path(model_directory(NAME, FILES)) == place
    of_the_directory, named = BiomedClip(str(place), SHA256), BiomedClip(NAME, SHA256)
    assert (named.name, named.version) == (of_the_directory.name, of_the_directory.version)
    with pytest.raises(WeightsError, match="not the one that was given"):
        BiomedClip(NAME, "0" * 64)


def test_what_is_not_in_the_cache_is_an_error_that_says_what_to_do(cache: Path) -> None:
    with pytest.raises(WeightsError, match=f"hf download {REPOSITORY} --revision {COMMIT}"):
        BiomedClip(NAME, SHA256)
    assert not cache.exists()


@pytest.mark.parametrize("name", ["tests/films", "tests/films@main", f"tests/films@{COMMIT[:8]}", f"films@{COMMIT}"])
def test_a_name_without_a_commit_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="write hf-hub:OWNER/NAME@COMMIT"):
        check_name(f"hf-hub:{name}")
    with pytest.raises(WeightsError, match="write hf-hub:OWNER/NAME@COMMIT"):
        BiomedClip(f"hf-hub:{name}", SHA256)


def test_what_a_model_needs_is_fetched_once_and_nothing_else(hub: Hub, cache: Path) -> None:
    named = BiomedClip(NAME, SHA256)
    place = Path(model_directory(NAME, FILES))
    assert {path.name: path.read_bytes() for path in place.iterdir()} == {
        name: data for name, data in PUBLISHED.items() if name != "README.md"
    }
    asked = len(hub.asked)
    model_directory.cache_clear()  # as a worker begins
    assert BiomedClip(NAME, SHA256).version == named.version
    assert len(hub.asked) == asked
    assert place.is_relative_to(cache)


def test_a_hub_that_refuses_is_told(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with serving(tmp_path, "models") as hub:
        hub.refuses = True
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        with pytest.raises(WeightsError, match="cannot be fetched"):
            BiomedClip(NAME, SHA256)
    assert not cache.exists() or not list(cache.rglob("*.bin"))


def test_whether_all_of_a_model_is_in_the_cache_is_found_without_the_hub(hub: Hub, cache: Path) -> None:
    assert cached_directory(str(cache.parent), FILES) == str(cache.parent)
    assert cached_directory(NAME, FILES) is None
    assert hub.asked == []
    place = model_directory(NAME, FILES)
    asked = len(hub.asked)
    assert cached_directory(NAME, FILES) == place
    (Path(place) / "vocab.txt").unlink()
    assert cached_directory(NAME, FILES) is None
    assert len(hub.asked) == asked


def test_without_the_hub_what_is_not_in_the_cache_is_told_as_a_build_tells_it(cache: Path) -> None:
    with pytest.raises(WeightsError, match="cannot be fetched"):
        cached_directory(NAME, FILES)
