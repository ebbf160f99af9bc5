"""Checkpoints: whole or not there, the newest few kept, checked before they are used."""

import errno
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import Field

from pipelines.errors import CurateError, UsageError
from sources.cards import Strict
from workflows.train.arithmetic import checkpoint_gb
from workflows.train.engine import Engine
from workflows.train.job import ADMISSION, CHECKPOINTS, EXPORTING, Job
from workflows.train.lineage import write_lineage
from workflows.train.ranks import Ranks

ABOUT = "checkpoint.json"
WRITING = ".writing"
UNIVERSAL = ".universal"
UNWRITTEN = ("inline_container.cc", "PytorchStreamWriter", "I/O error")
"""What torch.save (two of its ways) and safetensors say of a file that they cannot write to its end:
of a full disk and of one that fails."""
T = TypeVar("T")


class FileFacts(Strict):
    """A file of a checkpoint."""

    bytes: Annotated[int, Field(ge=0)]
    sha256: str


class Checkpoint(Strict):
    """What a checkpoint is of. Its data cursor is `step`: the loader's state is that one number."""

    format: Literal[1] = 1
    step: int
    world: int
    job: Job
    losses: list[float]
    files: dict[str, FileFacts]


def finished(out: Path) -> list[Path]:
    """Checkpoints that were written to their end, oldest first."""
    return sorted(path for path in (out / CHECKPOINTS).glob("step-*") if (path / ABOUT).is_file())


def save(job: Job, ranks: Ranks, engine: Engine, step: int, losses: Sequence[float]) -> None:
    """Write a checkpoint under a name that appears only when all of it is on the disk; then drop old ones.

    Raises:
        CurateError: there is no room for it; nothing was written.
    """
    home = job.out / CHECKPOINTS
    name = f"step-{step:08d}"
    clear_leftovers(job, ranks)
    _refuse_full_disk(job, ranks)
    if ranks.first:
        (home / WRITING).mkdir(parents=True)
    ranks.wait()
    with unwritten_told(home, "a checkpoint"):
        engine.deepspeed.save_checkpoint(str(home / WRITING), tag=name, save_latest=False)
    ranks.wait()
    place = home / WRITING / name
    # The list of one rank for all: on a network file system others may not see every file yet.
    mine = sorted(str(path.relative_to(place)) for path in place.rglob("*") if path.is_file()) if ranks.first else []
    written = [place / name for name in ranks.gathered(mine)[0]]
    parts = ranks.gathered(facts_of(place, _share(written, ranks)))
    files = {name: facts for part in parts for name, facts in part.items()}
    if ranks.first:
        about = Checkpoint(step=step, world=ranks.world, job=job, losses=list(losses), files=files)
        _write(place / ABOUT, about.model_dump_json(indent=1).encode())
        write_lineage(job.out / ADMISSION, place, {key: facts.sha256 for key, facts in files.items()})
        _sync_folder(place)
        shutil.rmtree(home / name, ignore_errors=True)
        place.rename(home / name)
        shutil.rmtree(home / WRITING)  # with a script of DeepSpeed's that nobody needs here
        _sync_folder(home)
        for old in finished(job.out)[: -job.recipe.keep]:
            shutil.rmtree(old)
    ranks.wait()


def clear_leftovers(job: Job, ranks: Ranks) -> None:
    """Remove what a run that was killed left half-written: a checkpoint, one rewritten for other ranks, an export."""
    if ranks.first:
        for place in (job.out / CHECKPOINTS / WRITING, job.out / CHECKPOINTS / UNIVERSAL, job.out / EXPORTING):
            shutil.rmtree(place, ignore_errors=True)
    ranks.wait()


@contextmanager
def unwritten_told(place: Path, what: str) -> Iterator[None]:
    """Say in our words that a file could not be written: torch and safetensors raise no OSError.

    Raises:
        CurateError: that happened.
    """
    try:
        yield
    except Exception as error:
        if not any(words in str(error) for words in UNWRITTEN):
            raise
        free = shutil.disk_usage(place).free / 1e9
        raise CurateError(
            f"{place}: {what} could not be written to its end; {free:,.1f} GB are free there now",
            "free some space; where there was enough, the disk fails (see the kernel's log) or a quota is reached: put "
            "that right. Then go on with --resume: it removes what is half-written first",
        ) from None


def _refuse_full_disk(job: Job, ranks: Ranks, times: int = 1) -> None:
    """See that there is room for another checkpoint, or for `times` as much: on every rank, for every rank.

    Raises:
        CurateError: there is not.
    """
    home = job.out / CHECKPOINTS
    home.mkdir(parents=True, exist_ok=True)
    needed = times * checkpoint_gb(job.model, job.recipe) * 1e9
    free = float(shutil.disk_usage(home).free)
    [short] = ranks.summed([float(free < needed)])
    if short:
        which = "a checkpoint" if times == 1 else "a checkpoint for another number of ranks"
        raise CurateError(
            f"{home}: {which} takes {needed / 1e9:,.1f} GB and {free / 1e9:,.1f} GB are free",
            "free some space, then go on with --resume; --set keep=1 keeps fewer checkpoints",
        )


def newest(job: Job) -> tuple[Path, Checkpoint] | None:
    """The checkpoint that `--resume` goes on from, and what it says of itself; None where there is none.

    Raises:
        UsageError: it is of another training.
        CurateError: it is damaged.
    """
    places = finished(job.out)
    if not places:
        return None
    place = places[-1]
    about = Checkpoint.model_validate_json((place / ABOUT).read_bytes())
    different = about.job.same_training(job)
    if different is not None:
        raise UsageError(
            f"--resume: {place} is of a training with another {different.replace('_', ' ')}",
            "give the options of the run that is to go on, or start another one in another --out",
        )
    for name, facts in about.files.items():
        size = (place / name).stat().st_size if (place / name).is_file() else None
        if size != facts.bytes:
            raise _damaged(place, name, f"{size} bytes and not {facts.bytes}" if size is not None else "missing")
    return place, about


def verify(ranks: Ranks, place: Path, about: Checkpoint) -> None:
    """Hash every file of a checkpoint. It is of pickles, so this comes before anything is read from it.

    Raises:
        CurateError: a file has other bytes than were written.
    """
    faults = [fault for part in ranks.gathered(_faults(place, about, ranks)) for fault in part]
    if faults:
        raise _damaged(place, faults[0], "other bytes than were written")


def load(job: Job, ranks: Ranks, engine: Engine, place: Path, about: Checkpoint) -> None:
    """Put a checkpoint that was verified into the engine.

    Raises:
        CurateError: DeepSpeed cannot read it.
    """
    source = place if about.world == ranks.world else job.out / CHECKPOINTS / UNIVERSAL / place.name
    loaded, _ = engine.deepspeed.load_checkpoint(str(source.parent), tag=source.name, load_lr_scheduler_states=False)
    if loaded is None:
        raise CurateError(f"{place}: DeepSpeed finds no checkpoint there", "start from an older one: remove this one")
    engine.put_right()
    ranks.wait()
    if ranks.first:
        shutil.rmtree(job.out / CHECKPOINTS / UNIVERSAL, ignore_errors=True)


def make_universal(job: Job, ranks: Ranks, place: Path) -> None:
    """Rewrite a checkpoint that was verified so that any number of ranks can load it.

    Raises:
        CurateError: there is no room for it.
    """
    target = job.out / CHECKPOINTS / UNIVERSAL / place.name
    _refuse_full_disk(job, ranks, times=2)  # pieces, and what is joined from them
    with ranks.long_work():
        if ranks.first:
            _convert(place, target)


def _convert(place: Path, target: Path) -> None:
    from argparse import Namespace

    from deepspeed.checkpoint.ds_to_universal import main as convert  # type: ignore[import-untyped]

    shutil.rmtree(target.parent, ignore_errors=True)
    target.mkdir(parents=True)
    convert(
        Namespace(
            input_folder=str(place), output_folder=str(target), num_extract_workers=1, num_merge_workers=1,
            keep_temp_folder=False, strict=True, inject_missing_state=False,
        )
    )  # fmt: skip


def facts_of(place: Path, paths: Iterable[Path]) -> dict[str, FileFacts]:
    """Hash files under a folder and make them durable; keys are their names there."""
    facts = {}
    for path in paths:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            os.fsync(file.fileno())
        facts[path.relative_to(place).as_posix()] = FileFacts(bytes=path.stat().st_size, sha256=digest)
    return facts


def _faults(place: Path, about: Checkpoint, ranks: Ranks) -> list[str]:
    wrong = []
    for name in _share(sorted(about.files), ranks):
        with (place / name).open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != about.files[name].sha256:
                wrong.append(name)
    return wrong


def _share(everything: Sequence[T], ranks: Ranks) -> Sequence[T]:
    return everything[ranks.rank :: ranks.world]


def _damaged(place: Path, name: str, what: str) -> CurateError:
    return CurateError(
        f"{place}/{name}: {what}", f"the checkpoint is damaged; remove {place} and --resume goes on from the one before"
    )


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:  # some network file systems have no such call for folders
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)
