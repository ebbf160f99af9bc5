"""A checkpoint with its lineage: nothing that it names is believed, and the worst stage decides."""

import html
from collections.abc import Callable, Mapping
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pytest

from dedup.decontamination.findings import FINDINGS
from pipelines.audit.lineage import UNCOVERED, CheckedWeights, check_weights, has_lineage
from pipelines.audit.report.lineage import render_weights
from pipelines.errors import UsageError
from pipelines.work import to_parquet
from sources.storage import LocalFolder
from tests.end_to_end.runs import curate, curate_json
from tests.pipelines.audit.report.findings import made

TODAY = date(2026, 7, 1)
WHOLE = made(3)
IDS = [row["finding_id"] for row in WHOLE.rows]


def named(folder: Path, path: str, data: bytes) -> dict[str, str]:
    place = folder / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(data)
    return {"path": path, "sha256": sha256(data).hexdigest()}


def stage(
    folder: Path, name: str, leaks: bool = False, says: Mapping[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    """One stage with a manifest and the audit of it, whose document also `says` something."""
    manifest = named(folder, f"lineage/{name}/manifest.json", orjson.dumps({"stage": name}))
    document = (WHOLE if leaks else made(0)).document()
    document["shards"]["manifest_sha256"] = manifest["sha256"]
    document |= says or {}
    rows = WHOLE.rows if leaks else []
    table = to_parquet(pa.Table.from_pylist(rows, schema=FINDINGS))
    return {
        "stage": name,
        "manifest": manifest,
        "audit": named(folder, f"lineage/{name}/contamination.json", orjson.dumps(document)),
        "findings": named(folder, f"lineage/{name}/findings.parquet", table),
        **more,
    }


def checkpoint(folder: Path, *stages: dict[str, Any]) -> LocalFolder:
    weights = named(folder, "model.safetensors", b"weights")
    base = {"name": "openai/gpt-oss-20b", "revision": "abc", "files": {"model.safetensors": "1" * 64}}
    document = {"format": 1, "files": {weights["path"]: weights["sha256"]}, "base": [base], "stages": list(stages)}
    (folder / "lineage.json").write_bytes(orjson.dumps(document))
    return LocalFolder(folder)


def checked(folder: LocalFolder) -> CheckedWeights:
    return check_weights(folder, TODAY)


def test_clean_stages_make_clean_weights_and_the_page_says_what_is_not_covered(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path, stage(tmp_path, "align"), stage(tmp_path, "mid"))
    assert has_lineage(folder)
    weights = checked(folder)
    assert (weights.verdict, weights.problems) == ("clean", ())
    page = html.unescape(render_weights(weights, "here"))
    assert UNCOVERED in page
    assert "openai/gpt-oss-20b" in page
    assert page.count("data-stage=") == 2


def test_the_worst_stage_decides(tmp_path: Path) -> None:
    weights = checked(checkpoint(tmp_path, stage(tmp_path, "align"), stage(tmp_path, "mid", leaks=True)))
    assert [one.verdict for one in weights.stages] == ["clean", "leaks"]
    assert weights.verdict == "leaks"


@pytest.mark.parametrize(("accept", "verdict", "accepted"), [
    ("all", "clean", 3), (IDS, "clean", 3), (IDS[:2], "leaks", 2),
])  # fmt: skip
def test_a_review_is_applied_to_the_findings_themselves(
    tmp_path: Path, accept: Any, verdict: str, accepted: int
) -> None:
    review = {"reason": "looked at", "accept": accept}
    weights = checked(checkpoint(tmp_path, stage(tmp_path, "mid", leaks=True, accepted=review)))
    assert (weights.verdict, weights.stages[0].accepted) == (verdict, accepted)
    assert "looked at" in render_weights(weights, "here")


def test_an_expired_review_accepts_nothing(tmp_path: Path) -> None:
    review = {"reason": "looked at", "accept": "all", "until": "2026-06-30"}
    weights = checked(checkpoint(tmp_path, stage(tmp_path, "mid", leaks=True, accepted=review)))
    assert weights.verdict == "leaks"
    assert "expired" in weights.stages[0].problems[0]


def without_table(one: dict[str, Any]) -> dict[str, Any]:
    return {**one, "findings": None}


def test_without_the_table_of_findings_only_everything_can_be_accepted(tmp_path: Path) -> None:
    for accept, verdict in ((IDS, "leaks"), ("all", "clean")):
        review = {"reason": "looked at", "accept": accept}
        one = without_table(stage(tmp_path, "mid", leaks=True, accepted=review))
        assert checked(checkpoint(tmp_path, one)).verdict == verdict


SWAPS: dict[str, Callable[[Path], object]] = {
    "the audit": lambda root: (root / "lineage/mid/contamination.json").write_bytes(b'{"verdict": "clean"}'),
    "the manifest": lambda root: (root / "lineage/mid/manifest.json").write_bytes(b"{}"),
    "the weights": lambda root: (root / "model.safetensors").write_bytes(b"other weights"),
    "a file that is gone": lambda root: (root / "lineage/mid/manifest.json").unlink(),
}


@pytest.mark.parametrize("swapped", SWAPS)
def test_what_was_swapped_is_noticed_and_never_clean(tmp_path: Path, swapped: str) -> None:
    folder = checkpoint(tmp_path, stage(tmp_path, "mid"))
    SWAPS[swapped](tmp_path)
    weights = checked(folder)
    assert weights.verdict == "incomplete"
    assert [*weights.problems, *weights.stages[0].problems]


def test_an_audit_of_other_shards_and_a_stage_without_one_are_no_clean_bill(tmp_path: Path) -> None:
    align, mid = stage(tmp_path, "align"), stage(tmp_path, "mid")
    assert checked(checkpoint(tmp_path, {**mid, "audit": align["audit"]})).verdict == "incomplete"
    weights = checked(checkpoint(tmp_path, {**mid, "audit": None}))
    assert (weights.verdict, weights.stages[0].problems[0][:8]) == ("incomplete", "no audit")


@pytest.mark.parametrize("rows", [WHOLE.rows[:2], [*WHOLE.rows[:2], {**WHOLE.rows[2], "grade": "template_sibling"}]])
def test_a_table_of_findings_that_is_not_the_audits_is_no_clean_bill(
    tmp_path: Path, rows: list[dict[str, Any]]
) -> None:
    one = stage(tmp_path, "mid", leaks=True, accepted={"reason": "looked at", "accept": IDS})
    assert checked(checkpoint(tmp_path, one)).verdict == "clean"
    table = to_parquet(pa.Table.from_pylist(rows, schema=FINDINGS))
    weights = checked(checkpoint(tmp_path, {**one, "findings": named(tmp_path, "lineage/mid/other.parquet", table)}))
    assert weights.verdict == "incomplete"
    assert "table of findings" in weights.stages[0].problems[0]


@pytest.mark.parametrize(("until", "verdict"), [("2026-06-30", "incomplete"), ("2026-07-01", "clean"), (None, "clean")])
def test_an_audit_that_is_clean_by_its_own_review_is_so_only_while_that_holds(
    tmp_path: Path, until: str | None, verdict: str
) -> None:
    own = {**WHOLE.document()["accepted"], "until": until, "findings": IDS}
    says = {"verdict": "clean", "reasons": [], "leaks": 0, "accepted": own}
    assert checked(checkpoint(tmp_path, stage(tmp_path, "mid", leaks=True, says=says))).verdict == verdict
    nothing_found = {"accepted": {**own, "findings": []}}
    assert checked(checkpoint(tmp_path, stage(tmp_path, "mid", says=nothing_found))).verdict == "clean"
    gaps = {**nothing_found, "reasons": ["eval set medqa is required and not there"]}
    assert checked(checkpoint(tmp_path, stage(tmp_path, "mid", says=gaps))).verdict == verdict


def test_only_the_number_of_leaks_tells_which_reason_is_about_them(tmp_path: Path) -> None:
    review = {"reason": "looked at", "accept": IDS}
    gap = "eval set x holds items that are in the data at grade: unknown"
    one = stage(tmp_path, "mid", leaks=True, accepted=review, says={"reasons": ["3 leaked", gap]})
    assert checked(checkpoint(tmp_path, one)).verdict == "incomplete"
    one = stage(tmp_path, "mid", leaks=True, accepted=review, says={"reasons": ["3 leaked"]})
    assert checked(checkpoint(tmp_path, one)).verdict == "clean"


@pytest.mark.parametrize("name", ["more.safetensors", "adapter/model.bin", "old.pt"])
def test_weights_that_the_lineage_does_not_name_are_told(tmp_path: Path, name: str) -> None:
    folder = checkpoint(tmp_path, stage(tmp_path, "mid"))
    named(tmp_path, name, b"others")
    weights = checked(folder)
    assert (weights.verdict, weights.problems) == (
        "incomplete", (f"{name}: weights that the lineage does not name",)
    )  # fmt: skip
    assert name in render_weights(weights, "here")


def test_a_file_outside_the_checkpoint_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"weights")
    inner = tmp_path / "checkpoint"
    one = stage(inner, "mid")
    one["audit"] = {"path": "../secret", "sha256": sha256(b"weights").hexdigest()}
    weights = checked(checkpoint(inner, one))
    assert weights.stages[0].problems == ("../secret: cannot be read",)


@pytest.mark.parametrize("document", [b"{", b"{}", b'{"format": 2, "files": {"a": "b"}, "stages": []}'])
def test_a_lineage_of_another_form_is_refused(tmp_path: Path, document: bytes) -> None:
    (tmp_path / "lineage.json").write_bytes(document)
    with pytest.raises(UsageError, match=r"lineage\.json"):
        checked(LocalFolder(tmp_path))


def test_the_command_gives_the_verdict_and_writes_the_page(tmp_path: Path) -> None:
    place = tmp_path / "checkpoint"
    checkpoint(place, stage(place, "mid", leaks=True))
    told = curate_json("audit", place, "--out", tmp_path / "audit", status=3)
    assert (told["verdict"], told["stages"][0]["stage"], told["not_covered"]) == ("leaks", "mid", [UNCOVERED])
    assert (tmp_path / "audit" / "reports" / "weights.html").stat().st_size > 1000
    assert "not covered" in curate("audit", place, "--out", tmp_path / "audit").stderr


@pytest.mark.parametrize("option", [
    ("--against", "medqa"), ("--fail-on", "near_text"), ("--accept", "accepted.yaml"), ("--public",),
    ("--sign", "key.pem"), ("--verify",),
])  # fmt: skip
def test_options_of_a_search_are_refused_for_a_checkpoint(tmp_path: Path, option: tuple[str, ...]) -> None:
    place = tmp_path / "checkpoint"
    checkpoint(place, stage(place, "mid"))
    done = curate("audit", place, "--out", tmp_path / "audit", *option)
    assert done.returncode == 2
    assert option[0] in done.stderr
    assert not (tmp_path / "audit").exists()
