"""A takedown that is killed, at whatever write or deletion, is finished by the same command, and never half read."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from pipelines.errors import UsageError
from pipelines.run_directory import read_run
from pipelines.takedown.remove import remove
from shards.verify import verify_shards
from sources.storage import LocalFolder
from tests.end_to_end.runs import curate_json, published
from tests.end_to_end.takedowns import build_killed_in, corpus, drawn, everything_in, film, in_shards, listed, words

CHANGING = ("writing", "take", "delete", "delete_tree")


class Killed(BaseException):
    """What no handler of errors catches."""


@contextmanager
def killed_at(place: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Raise before the change of that number (from 0) that is made to a folder of this machine; yields the changes."""
    made: list[str] = []

    def watched(method: Callable[..., Any], name: str) -> Callable[..., Any]:
        def call(self: LocalFolder, *arguments: Any, **options: Any) -> Any:
            if len(made) == place:
                raise Killed
            made.append(name)
            return method(self, *arguments, **options)

        return call

    with monkeypatch.context() as patch:
        for name in CHANGING:
            patch.setattr(LocalFolder, name, watched(getattr(LocalFolder, name), name))
        yield made


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[object]]:
    place = tmp_path_factory.mktemp("built")
    arguments = corpus(place)
    curate_json("build", *arguments, "--out", place / "run")
    return place / "run", arguments


def whole(run: Path) -> dict[str, str]:
    """Everything that must be the same, however often the takedown was killed."""
    work = {path.relative_to(run).as_posix(): "" for path in (run / "work").rglob("*") if path.is_file()}
    survey = {path for path in work if path.startswith("work/survey")}  # made for the page, by whoever gets to it
    return {**published(run), **{path: "" for path in work if path not in survey}}


def test_killed_at_any_change_and_finished(
    built: tuple[Path, list[object]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = listed(tmp_path, "patient,PAT-0", "source,stacks")
    shutil.copytree(built[0], tmp_path / "undisturbed")
    with killed_at(-1, monkeypatch) as made:
        remove(LocalFolder(tmp_path / "undisturbed"), entries)
    expected = whole(tmp_path / "undisturbed")
    before = published(built[0])
    seen = set()
    for place in range(0, len(made), 2):
        run = tmp_path / "run"
        shutil.copytree(built[0], run)
        with killed_at(place, monkeypatch), pytest.raises(Killed):
            remove(LocalFolder(run), entries)
        seen.add(_state(run, before, expected))
        again = remove(LocalFolder(run), entries)
        assert again["nothing_left"] or not again["resumed"]
        assert whole(run) == expected, (place, made[place])
        shutil.rmtree(run)
    assert seen == {"old", "unread", "new"}


def test_what_a_killed_build_left_goes_wherever_the_takedown_is_killed(
    built: tuple[Path, list[object]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What matches is in no table: the interrupted takedown has to find it in work again."""
    shutil.copytree(built[0].parent / "data", tmp_path / "data")
    drawn(tmp_path / "data" / "films" / "f20.png", 20)
    with (tmp_path / "data" / "films.jsonl").open("ab") as films:
        films.write(b"\n" + orjson.dumps(film(20)))
    shutil.copytree(built[0], tmp_path / "left")
    build_killed_in("publish", built[0].parent / "recipe.yaml", tmp_path / "data", LocalFolder(tmp_path / "left"))
    assert words("film", 20).encode() in everything_in(tmp_path / "left")
    entries = listed(tmp_path, "patient,PAT-6")
    shutil.copytree(tmp_path / "left", tmp_path / "undisturbed")
    with killed_at(-1, monkeypatch) as made:
        remove(LocalFolder(tmp_path / "undisturbed"), entries)
    expected = whole(tmp_path / "undisturbed")
    for place in range(0, len(made), 3):
        run = tmp_path / "run"
        shutil.copytree(tmp_path / "left", run)
        with killed_at(place, monkeypatch), pytest.raises(Killed):
            remove(LocalFolder(run), entries)
        remove(LocalFolder(run), entries)
        assert whole(run) == expected, (place, made[place])
        assert words("film", 20).encode() not in everything_in(run)
        shutil.rmtree(run)


def _state(run: Path, before: dict[str, str], after: dict[str, str]) -> str:
    """What a reader meets: the run as it was, the run as it will be, or none; never something between."""
    if not (run / "run.json").exists():
        with pytest.raises(UsageError, match="a removal was interrupted"):
            read_run(LocalFolder(run))
        return "unread"
    now = published(run)
    if now == before:
        return "old"
    assert now == {path: digest for path, digest in after.items() if digest}
    assert verify_shards(LocalFolder(run / "shards"), 1) == []
    return "new"


def _interrupted(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run whose takedown of a patient was killed when run.json was already gone."""
    run = tmp_path / "run"
    shutil.copytree(built, run)
    place = 0
    while (run / "run.json").exists():
        with killed_at(place, monkeypatch), pytest.raises(Killed):
            remove(LocalFolder(run), listed(tmp_path, "patient,PAT-0"))
        place += 1
    return run


def test_an_interrupted_takedown_is_told_and_a_build_finishes_it(
    built: tuple[Path, list[object]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = _interrupted(built[0], tmp_path, monkeypatch)
    told = curate_json("why", run, "films.jsonl#f0", status=2)
    assert "a removal was interrupted" in told["error"]
    assert "curate remove" in told["hint"]
    told = curate_json("remove", run, "--list", listed(tmp_path, "patient,PAT-0"), "--dry-run", status=1)
    assert "a removal was interrupted" in told["error"]
    curate_json("build", *built[1], "--out", run)
    assert in_shards(run) >= {"f3", "r0"}
    assert in_shards(run).isdisjoint({"f0", "f1", "f2"})
    assert words("film", 0).encode() not in everything_in(run)


def test_another_list_finishes_the_first_takedown_and_then_does_its_own(
    built: tuple[Path, list[object]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = _interrupted(built[0], tmp_path, monkeypatch)
    answer = remove(LocalFolder(run), listed(tmp_path, "source,stacks"))
    assert answer["resumed"]
    assert in_shards(run).isdisjoint({"f0", "f1", "f2", "s0", "s0@1", "s0@2"})
    batches = orjson.loads((run / "run.json").read_bytes())["removed"]
    assert [batch["by"] for batch in batches] == [{"patient": 3}, {"source": 3}]


def test_nobody_takes_the_folder_of_an_interrupted_takedown_for_another_build(
    built: tuple[Path, list[object]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = _interrupted(built[0], tmp_path, monkeypatch)
    other = ("--set", "steps.tokens.max=999")
    answer = curate_json("build", *built[1], "--out", run, *other, status=2)
    assert "holds a build with other settings" in answer["error"]
    reusing = curate_json("build", *built[1], "--out", tmp_path / "new", "--reuse", run, *other, status=1)
    assert "a removal was interrupted" in reusing["error"]
