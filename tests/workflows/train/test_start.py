"""What is refused before anything is trained, and with which exit status."""

import dataclasses
import hashlib
import shutil
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from pipelines.audit.lineage import check_weights
from pipelines.errors import CurateError, UsageError
from sources.storage import LocalFolder
from tests.end_to_end.runs import curate, curate_json
from tests.workflows.train.made_shards import write_build
from tests.workflows.train.minis import mini, mini_file
from workflows.train.init import init_random
from workflows.train.job import LAUNCHING, RUNNING, Job, write_job
from workflows.train.lineage import RefusedShardsError, write_lineage
from workflows.train.start import TrainOptions, alone_in, make_job, prepare


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with weights, the model's description and a build."""
    work = tmp_path_factory.mktemp("base")
    init_random(mini(), work / "init", 0)
    mini_file(work)
    write_build(work / "mid", samples=12)
    return work


@pytest.fixture
def options(base: Path, tmp_path: Path) -> TrainOptions:
    shutil.copytree(base / "mid", tmp_path / "mid")
    return TrainOptions(
        "mid", str(tmp_path / "mid" / "shards"), str(base / "mini.yaml"), base / "init", tmp_path / "out", 2, 1, False,
        None, (),
    )  # fmt: skip


def made(options: TrainOptions, **changes: Any) -> Job:
    return make_job(prepare(dataclasses.replace(options, **changes)))


def contamination(options: TrainOptions, change: Callable[[dict[str, Any]], object]) -> None:
    path = Path(options.shards) / "contamination.json"
    document = orjson.loads(path.read_bytes())
    change(document)
    path.write_bytes(orjson.dumps(document))


def review(folder: Path, text: str) -> Path:
    path = folder / "review.yaml"
    path.write_text(text)
    return path


def test_audited_shards_are_admitted(options: TrainOptions) -> None:
    job = made(options)
    assert (job.context, job.rows_per_step, job.recipe.stage) == (128, 4, "mid")
    assert (options.out / "admission" / "lineage.json").is_file()


REFUSED: dict[str, Callable[[TrainOptions], object]] = {
    "no audit": lambda options: (Path(options.shards) / "contamination.json").unlink(),
    "an audit that found leaks": lambda options: contamination(options, lambda it: it.update(verdict="leaks", leaks=3)),
    "an incomplete audit": lambda options: contamination(options, lambda it: it.update(verdict="incomplete")),
    "an insensitive audit": lambda options: contamination(options, lambda it: it.update(verdict="insensitive")),
    "an audit of other shards": lambda options: contamination(
        options, lambda it: it["shards"].update(manifest_sha256="0" * 64)
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_shards_are_refused_for(options: TrainOptions, case: str) -> None:
    REFUSED[case](options)
    with pytest.raises(RefusedShardsError) as refused:
        made(options)
    assert refused.value.status == 3


@pytest.mark.parametrize("case", REFUSED)
def test_a_review_accepts_findings_but_neither_other_bytes_nor_a_missing_audit(
    options: TrainOptions, case: str, tmp_path: Path
) -> None:
    REFUSED[case](options)
    accepted = review(tmp_path, "reason: looked at\naccept: all\n")
    if case in {"no audit", "an audit of other shards"}:
        with pytest.raises(RefusedShardsError):
            made(options, accept_findings=accepted)
        return
    made(options, accept_findings=accepted)
    lineage = orjson.loads((options.out / "admission" / "lineage.json").read_bytes())
    assert lineage["stages"][-1]["accepted"]["reason"] == "looked at"


def test_a_review_that_expired_accepts_nothing(options: TrainOptions, tmp_path: Path) -> None:
    REFUSED["an audit that found leaks"](options)
    yesterday = date.today() - timedelta(days=2)  # noqa: DTZ011 - as the review says it
    accepted = review(tmp_path, f"reason: looked at\naccept: all\nuntil: {yesterday}\n")
    with pytest.raises(RefusedShardsError, match="expired"):
        made(options, accept_findings=accepted)


def trained(options: TrainOptions, base: Path, place: Path) -> Path:
    """Weights beside which lies the lineage of a run with these options."""
    made(options)
    shutil.copytree(base / "init", place)
    digest = hashlib.sha256((place / "model.safetensors").read_bytes()).hexdigest()
    write_lineage(options.out / "admission", place, {"model.safetensors": digest})
    return place


def test_the_lineage_of_the_stage_before_is_carried_on(options: TrainOptions, base: Path, tmp_path: Path) -> None:
    before = trained(options, base, tmp_path / "before")
    made(options, stage="instruct", start=before, out=tmp_path / "next")
    lineage = orjson.loads((tmp_path / "next" / "admission" / "lineage.json").read_bytes())
    assert [one["stage"] for one in lineage["stages"]] == ["mid", "instruct"]
    assert (tmp_path / "next" / "admission" / lineage["stages"][0]["manifest"]["path"]).is_file()


def test_a_second_training_in_the_same_stage_hides_nothing_of_the_first(
    options: TrainOptions, base: Path, tmp_path: Path
) -> None:
    accepted = review(tmp_path, "reason: looked at\naccept: all\n")
    shutil.rmtree(tmp_path / "mid")
    write_build(tmp_path / "mid", samples=12, leaks=True)
    leaking = dataclasses.replace(options, accept_findings=accepted)
    before = trained(leaking, base, tmp_path / "before")
    other = write_build(tmp_path / "other", samples=16)
    again = dataclasses.replace(options, shards=str(other), start=before, out=tmp_path / "again")
    after = trained(again, base, tmp_path / "after")
    weights = check_weights(LocalFolder(after), date.today())  # noqa: DTZ011 - as the command takes it
    assert (weights.verdict, weights.problems) == ("clean", ())
    assert [(one.stage.stage, one.stage.accepted is not None) for one in weights.stages] == [
        ("mid", True), ("mid", False),
    ]  # fmt: skip
    manifests = [one.stage.manifest.sha256 for one in weights.stages]
    assert manifests == [
        hashlib.sha256((place / "manifest.json").read_bytes()).hexdigest() for place in (Path(options.shards), other)
    ]


ALTERED: dict[str, Callable[[Path], object]] = {
    "weights": lambda place: (place / "model.safetensors").write_bytes(b"others"),
    "an audit": lambda place: next(place.glob("lineage/*/contamination.json")).write_bytes(b"{}"),
    "more weights": lambda place: (place / "more.safetensors").write_bytes(b"others"),
}


@pytest.mark.parametrize("altered", ALTERED)
def test_weights_whose_lineage_does_not_hold_are_not_started_from(
    options: TrainOptions, base: Path, tmp_path: Path, altered: str
) -> None:
    before = trained(options, base, tmp_path / "before")
    ALTERED[altered](before)
    with pytest.raises(RefusedShardsError, match="--from"):
        made(options, stage="instruct", start=before, out=tmp_path / "next")


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a number of ranks that does not divide the rows of a step": (
        {"nproc": 3, "overrides": ("rows_per_step=4",)},
        "rows_per_step=6",
    ),
    "a model that needs GPUs": ({"model": "medgpt-oss-20b", "start": None}, "tiny"),
    "a model of that name": ({"model": "tinny"}, "tiny"),
    "weights of another model": ({"model": "tiny"}, "--model mini"),
    "a setting of that name": ({"overrides": ("clipp=1",)}, "clip"),
    "a plan of so many steps": ({"overrides": ("steps=999",)}, "epochs"),
    "shards in that place": ({"shards": "/nowhere"}, "shards/"),
    "weights in that place": ({"start": Path("/nowhere")}, "init"),
}


@pytest.mark.parametrize("case", WRONG)
def test_there_is_no(options: TrainOptions, case: str) -> None:
    changes, hint = WRONG[case]
    if case == "weights of another model":
        changes = {"overrides": ("steps=1",), **changes}
        path = Path(options.model).with_name("other.yaml")
        other = mini().model_copy(update={"text": mini().text.model_copy(update={"num_local_experts": 8})})
        path.write_text(other.model_dump_json())
        changes = {**changes, "model": str(path)}
    with pytest.raises(UsageError) as refused:
        made(options, **changes)
    assert hint in refused.value.hint
    assert refused.value.status == 2


def test_a_folder_that_holds_a_run_is_only_gone_on_with_when_asked_and_by_the_same_training(
    options: TrainOptions,
) -> None:
    write_job(made(options))
    with pytest.raises(UsageError, match="holds a run"):
        made(options)
    assert made(options, resume=True) == made(options, resume=True)
    with pytest.raises(UsageError, match="clip"):
        made(options, resume=True, overrides=("clip=2",))
    made(options, resume=True, overrides=("keep=5",))


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


RESUMED: dict[str, tuple[Callable[[TrainOptions, Path], dict[str, Any]], str]] = {
    "other shards": (lambda _, work: {"shards": str(write_build(work / "other", samples=16))}, "manifest sha256"),
    "shards without an audit": (
        lambda _, work: {"shards": str(write_build(work / "other", samples=16, audited=False))}, "audit",
    ),
    "other weights": (lambda _, work: {"start": others(work / "others")}, "start sha256"),
}  # fmt: skip


def others(place: Path) -> Path:
    init_random(mini(), place, 1)
    return place


@pytest.mark.parametrize("case", RESUMED)
def test_a_resume_that_is_refused_leaves_admission_and_plan_as_they_were(
    options: TrainOptions, tmp_path: Path, case: str
) -> None:
    write_job(made(options))
    before = everything(options.out)
    assert any(name.startswith("admission/") for name in before)
    assert any(name.startswith("plan/") for name in before)
    change, named = RESUMED[case]
    with pytest.raises(CurateError, match=named):
        made(options, resume=True, **change(options, tmp_path))
    assert everything(options.out) == before
    made(options, resume=True)


def test_a_resume_keeps_the_review_that_the_run_began_with(options: TrainOptions, tmp_path: Path) -> None:
    REFUSED["an audit that found leaks"](options)
    write_job(made(options, accept_findings=review(tmp_path, "reason: looked at\naccept: all\n")))
    before = everything(options.out / "admission")
    made(options, resume=True)
    assert everything(options.out / "admission") == before
    made(options, resume=True, accept_findings=review(tmp_path, "reason: looked again\naccept: all\n"))
    lineage = orjson.loads((options.out / "admission" / "lineage.json").read_bytes())
    assert lineage["stages"][-1]["accepted"]["reason"] == "looked again"


@pytest.mark.parametrize("lock", [LAUNCHING, RUNNING])
def test_a_folder_in_which_a_run_is_going_on_is_left_alone(options: TrainOptions, lock: str) -> None:
    write_job(made(options))
    before = everything(options.out / "admission")
    with alone_in(options.out, lock):
        told = curate_json("train", "--stage", "mid", "--shards", options.shards, "--model", options.model, "--from",
                           options.start, "--out", options.out, "--resume", status=2)  # fmt: skip
    assert "going on" in told["error"]
    assert everything(options.out / "admission") == before


def test_the_command_answers_with_the_exit_status_and_one_object(options: TrainOptions) -> None:
    REFUSED["no audit"](options)
    common = ("train", "--stage", "mid", "--shards", options.shards, "--model", options.model, "--from", options.start,
              "--out", options.out)  # fmt: skip
    assert "audit" in curate_json(*common, status=3)["error"]
    told = curate_json(*common, "--dry-run", status=2)
    assert "audit" in told["problems"][0]["problem"]
    assert told["steps"] > 0
    assert curate("train", "--stage", "mid").returncode == 2


def test_a_dry_run_writes_nothing_and_counts_like_the_plan(options: TrainOptions) -> None:
    common = ("train", "--stage", "align", "--shards", options.shards, "--model", options.model, "--nproc", 2, "--out",
              options.out, "--dry-run")  # fmt: skip
    told = curate_json(*common)
    assert not options.out.exists()
    assert told["problems"] == []
    assert told["steps"] == made(options).steps
    assert told["trained_parameters"] == told["parameters"]["projector"]


def test_nothing_is_made_for_shards_that_are_refused(options: TrainOptions) -> None:
    REFUSED["no audit"](options)
    with pytest.raises(RefusedShardsError):
        made(options, start=None)
    assert not list(options.out.iterdir())
    with pytest.raises(RefusedShardsError):  # nor are weights looked at: that takes minutes for 43 GB
        made(options, start=Path("/nowhere"))


def test_weights_that_are_not_those_that_init_wrote_are_not_started_from(options: TrainOptions, tmp_path: Path) -> None:
    place = others(tmp_path / "others")
    made(options, start=place, out=tmp_path / "one")
    shutil.copy(options.start / "model.safetensors", place / "model.safetensors")  # type: ignore[operator]
    with pytest.raises(RefusedShardsError, match="init"):
        made(options, start=place, out=tmp_path / "two")


def test_weights_of_which_nothing_says_what_they_were_made_from_are_not_started_from(
    options: TrainOptions, tmp_path: Path
) -> None:
    place = others(tmp_path / "others")
    (place / "bases.json").unlink()
    with pytest.raises(RefusedShardsError, match="nothing there says"):
        made(options, start=place, out=tmp_path / "one")


def test_weights_beside_another_tokenizer_are_not_started_from(options: TrainOptions, tmp_path: Path) -> None:
    place = tmp_path / "start"
    shutil.copytree(options.start, place)  # type: ignore[arg-type]
    text = (place / "tokenizer.json").read_text(encoding="utf-8")
    (place / "tokenizer.json").write_text(text.replace("<|return|>", "<|rather|>"), encoding="utf-8")
    with pytest.raises(UsageError, match="return"):
        made(options, start=place)


def test_a_missing_package_is_named(options: TrainOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workflows.train.start.NEEDED", ("torch", "no_such_package"))
    with pytest.raises(CurateError, match="no_such_package"):
        made(options)


def test_a_run_whose_rows_suited_many_ranks_goes_on_with_as_many_rows_on_few(options: TrainOptions) -> None:
    many = made(options, nproc=6)
    write_job(many)
    assert many.rows_per_step == 6
    assert made(options, nproc=2, resume=True) == many
    with pytest.raises(UsageError, match="4 ranks for 6 rows"):
        made(options, nproc=4, resume=True)
