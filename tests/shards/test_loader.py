import hashlib
import pickle
import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
import pytest

pytest.importorskip("torch", reason="the loader needs torch (the extra `train`)")

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from shards.loader import LoaderError, PlannedLoader, PlannedRows, StepRows
from shards.manifest import ManifestError
from shards.plan_file import PlanError
from sources.storage import LocalFolder
from tests.shards.planned import mixed_shards, plan_shards, write_shards
from workflows.train.tokenizer import write_byte_tokenizer

NAMES = [f"mid-demo-{number:06d}.tar" for number in range(4)]
STEPS = 8


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    root = tmp_path_factory.mktemp("shards")
    write_shards(root, mixed_shards())
    plan_shards(root)
    return {file.name: file.read_bytes() for file in root.iterdir()}


@pytest.fixture
def root(built: dict[str, bytes], tmp_path: Path) -> Path:
    """Four tars of 24 samples, and a plan of eight steps of four rows of three samples."""
    for name, data in built.items():
        (tmp_path / name).write_bytes(data)
    return tmp_path


def keys_of(item: StepRows) -> list[tuple[str, ...]]:
    return [row.keys for row in item.rows]


def steps_of(root: Path, **given: Any) -> list[list[tuple[str, ...]]]:
    return [keys_of(item) for item in PlannedRows(root, decode="bytes", **given)]


def flipped(place: Path, at: int) -> None:
    data = bytearray(place.read_bytes())
    data[at] ^= 1
    place.write_bytes(data)


def everything(item: StepRows) -> list[Any]:
    return [
        [part.tolist() for part in (row.ids, row.labels, row.position_ids, row.documents, *row.pictures)]
        + [row.keys, row.picture_spans]
        for row in item.rows
    ]


def test_steps_are_those_of_the_plan_in_its_order(root: Path) -> None:
    rows = plan_shards(root)
    assert steps_of(root) == [[tuple(keys) for keys in rows[n : n + 4]] for n in range(0, 32, 4)]


@pytest.mark.parametrize("world", [2, 4])
def test_ranks_have_equally_many_steps_and_rows_and_together_the_global_batch(root: Path, world: int) -> None:
    ranks = [steps_of(root, rank=rank, world=world) for rank in range(world)]
    assert {len(steps) for steps in ranks} == {STEPS}
    assert {len(rows) for steps in ranks for rows in steps} == {4 // world}
    whole = steps_of(root)
    together = [[ranks[n % world][step][n // world] for n in range(4)] for step in range(STEPS)]
    assert together == whole


def test_what_workers_give_is_what_this_process_gives(root: Path) -> None:
    alone = [everything(item) for item in PlannedRows(root)]
    assert [everything(item) for item in PlannedLoader(PlannedRows(root), workers=2)] == alone


def test_rows_are_tensors_and_pictures_arrays(root: Path) -> None:
    row = next(row for item in PlannedRows(root) for row in item.rows if row.pictures)
    tensors = (row.ids, row.labels, row.position_ids, row.documents)
    assert [part.dtype for part in tensors] == [torch.int64, torch.int64, torch.int64, torch.int32]
    assert {part.shape for part in tensors} == {row.ids.shape}
    assert (str(row.pictures[0].dtype), row.pictures[0].shape) == ("uint8", (9, 12, 3))


def test_a_step_is_one_piece_of_memory_that_can_be_pinned_and_sent(root: Path) -> None:
    item = next(iter(PlannedRows(root, picture=torch.from_numpy)))
    there = item.over(item._buffer.clone())
    assert everything(there) == everything(item) == everything(pickle.loads(pickle.dumps(item)))
    ids = item.rows[0].ids.data_ptr() - item._buffer.data_ptr()
    assert there.rows[0].ids.data_ptr() - there._buffer.data_ptr() == ids
    assert isinstance(there.rows[0].pictures[0], torch.Tensor)


def test_state_is_the_next_step_and_resumes_on_other_ranks(root: Path) -> None:
    rows = PlannedRows(root, decode="bytes")
    before = [keys_of(item) for item in islice(rows, 3)]
    state = rows.state_dict()
    assert (state["step"], len(state["manifest"])) == (3, 64)
    ranks = []
    for rank in range(2):
        resumed = PlannedRows(root, decode="bytes", rank=rank, world=2)
        resumed.load_state_dict(orjson.loads(orjson.dumps(state)))
        assert len(resumed) == STEPS - 3
        ranks.append([keys_of(item) for item in resumed])
    after = [[ranks[n % 2][step][n // 2] for n in range(4)] for step in range(STEPS - 3)]
    assert before + after == steps_of(root)


def test_a_start_step_is_a_state(root: Path) -> None:
    assert steps_of(root, start_step=5) == steps_of(root)[5:]
    assert steps_of(root, start_step=STEPS) == []


def test_a_loader_goes_on_where_it_was_left(root: Path) -> None:
    loader = PlannedLoader(PlannedRows(root, decode="bytes"))
    first = [keys_of(item) for item in islice(loader, 3)]
    assert (loader.state_dict()["step"], len(loader)) == (3, STEPS - 3)
    assert first + [keys_of(item) for item in loader] == steps_of(root)
    assert len(loader) == 0


def test_rows_do_not_guess_how_far_their_workers_are(root: Path) -> None:
    rows = PlannedRows(root, decode="bytes")
    loader = torch.utils.data.DataLoader(rows, batch_size=None, num_workers=1)
    item = next(iter(loader))
    with pytest.raises(LoaderError, match="workers read the rows, and run ahead"):
        rows.state_dict()
    assert rows.state_after(item.step)["step"] == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"manifest": "0" * 64}, r"the state is of shards with another manifest \(000000000000"),
        ({"plan": "0" * 16}, "the state is of another plan"),
        ({"step": 9}, "step 9 of a plan with 8 steps"),
        ({"step": None}, "not a state of this loader"),
    ],
)
def test_a_state_of_something_else_is_refused(root: Path, change: dict[str, Any], said: str) -> None:
    rows = PlannedRows(root)
    with pytest.raises(LoaderError, match=said):
        rows.load_state_dict(rows.state_dict() | change)


def test_a_missing_shard_is_told_before_training(root: Path) -> None:
    (root / NAMES[2]).unlink()
    with pytest.raises(LoaderError, match=rf"{NAMES[2]}: missing; restore it, or build again"):
        PlannedRows(root)


def test_a_truncated_shard_is_told_before_training(root: Path) -> None:
    data = (root / NAMES[2]).read_bytes()
    (root / NAMES[2]).write_bytes(data[: len(data) // 2])
    with pytest.raises(LoaderError, match=rf"{NAMES[2]}: \d+ bytes, the manifest says {len(data)}: truncated"):
        PlannedRows(root)


def test_swapped_shards_are_told_though_they_are_equally_large(root: Path) -> None:
    sizes = {name: (root / name).stat().st_size for name in NAMES}
    one, two = next((a, b) for a in NAMES for b in NAMES if a < b and sizes[a] == sizes[b])
    data = (root / one).read_bytes(), (root / two).read_bytes()
    (root / two).write_bytes(data[0])
    (root / one).write_bytes(data[1])
    with pytest.raises(LoaderError, match=r"begins with another sample than [0-9a-f]{32}: swapped"):
        list(PlannedRows(root))


def test_a_shard_rewritten_after_the_manifest_is_told_by_its_hash(root: Path) -> None:
    """Its size and first key are as they were."""
    data = (root / NAMES[1]).read_bytes()
    assert b"Finding" in data
    (root / NAMES[1]).write_bytes(data.replace(b"Finding", b"Absence"))
    with pytest.raises(LoaderError, match=rf"{NAMES[1]}: its SHA-256 is [0-9a-f]{{64}}, the manifest says"):
        list(PlannedRows(root, verify=True))


def test_a_flipped_bit_in_a_header_costs_one_sample_and_is_reported(root: Path) -> None:
    at = (root / NAMES[1]).stat().st_size // 2 // 512 * 512
    data = (root / NAMES[1]).read_bytes()
    at = next(place for place in range(at, 0, -512) if data[place + 257 : place + 262] == b"ustar")
    flipped(root / NAMES[1], at + 3)
    items = list(PlannedRows(root))
    (bad,) = [bad for item in items for bad in item.bad]
    assert bad.shard == NAMES[1]
    assert f"byte {at}: damaged" in bad.reason
    assert [len(item.rows) for item in items] == [4] * STEPS
    with pytest.raises(LoaderError, match=r"replace='skip'"):
        list(PlannedRows(root, replace="fail"))
    with pytest.raises(LoaderError, match="its SHA-256 is"):
        list(PlannedRows(root, verify=True))


def test_an_error_in_a_worker_is_told_with_its_own_words(root: Path) -> None:
    flipped(root / NAMES[0], 3)
    with pytest.raises(LoaderError, match=rf"{NAMES[0]}: does not begin with a header that curate wrote"):
        list(PlannedLoader(PlannedRows(root), workers=1))


def test_a_plan_that_is_replaced_before_workers_open_it_is_told(root: Path) -> None:
    rows = PlannedRows(root)
    copy = pickle.dumps(rows)
    plan_shards(root, seed=1)
    with pytest.raises(PlanError, match="replaced by another plan"):
        list(PlannedLoader(rows, workers=1))
    with pytest.raises(PlanError, match="replaced by another plan"):
        pickle.loads(copy)


def test_each_shard_is_hashed_once_by_all_workers_together(root: Path) -> None:
    rows = PlannedRows(root, verify=True, decode="bytes")
    assert [keys_of(item) for item in PlannedLoader(rows, workers=2)] == steps_of(root)
    assert rows._flags.tolist()[:4] == [1, 1, 1, 1]


def test_a_manifest_of_another_version_is_told(root: Path) -> None:
    content = orjson.loads((root / "manifest.json").read_bytes()) | {"format": 2}
    (root / "manifest.json").write_bytes(orjson.dumps(content))
    with pytest.raises(ManifestError, match="format 2 is newer than 1; use a newer curate"):
        PlannedRows(root)


def test_a_plan_for_another_manifest_is_told(root: Path) -> None:
    content = orjson.loads((root / "manifest.json").read_bytes()) | {"stage": "align"}
    (root / "manifest.json").write_bytes(orjson.dumps(content))
    with pytest.raises(
        PlanError, match=r"was made for another manifest than that of the shards; make it again: curate"
    ):
        PlannedRows(root)


def test_a_plan_for_another_tokenizer_is_told(root: Path) -> None:
    with pytest.raises(PlanError, match=r"was made for tokenizer o200k_harmony, not /models/tokenizer\.json"):
        PlannedRows(root, tokenizer="/models/tokenizer.json")
    plan_shards(root, tokenizer="/models/tokenizer.json")
    with pytest.raises(PlanError, match=r"was made for tokenizer /models/tokenizer\.json, the shards for o200k"):
        PlannedRows(root)


def test_a_tokenizer_file_is_told_from_others_by_its_sha256(root: Path, tmp_path: Path) -> None:
    places = [tmp_path / "one.json", tmp_path / "other.json"]
    for turned, place in enumerate(places):
        write_byte_tokenizer(place)
        content = orjson.loads(place.read_bytes())
        vocabulary = content["model"]["vocab"]
        first, second = list(vocabulary)[65:67]
        if turned:
            vocabulary[first], vocabulary[second] = vocabulary[second], vocabulary[first]
            place.write_bytes(orjson.dumps(content))
    sha256 = hashlib.sha256(places[0].read_bytes()).hexdigest()
    manifest = orjson.loads((root / "manifest.json").read_bytes()) | {"tokenizer": sha256}  # as builds write it
    (root / "manifest.json").write_bytes(orjson.dumps(manifest))
    plan_shards(root, tokenizer=sha256)
    assert PlannedRows(root, tokenizer=str(places[0])).steps > 0
    with pytest.raises(PlanError, match=rf"was made for tokenizer {sha256}, not .*/other\.json; give that one"):
        PlannedRows(root, tokenizer=str(places[1]))
    with pytest.raises(PlanError, match=rf"give it with tokenizer=PATH, the one with SHA-256 {sha256}"):
        PlannedRows(root)


def test_a_tokenizer_that_cannot_render_is_told_before_training(root: Path) -> None:
    path = str(root / "tokenizer.json")
    Tokenizer(WordLevel({"?": 0}, unk_token="?")).save(path)
    content = orjson.loads((root / "manifest.json").read_bytes()) | {"tokenizer": path}
    (root / "manifest.json").write_bytes(orjson.dumps(content))
    plan_shards(root, tokenizer=path)
    with pytest.raises(PlanError, match=r"its tokenizer has no <\|startoftext\|>"):
        PlannedRows(root)


def test_a_plan_may_lie_elsewhere(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    expected = steps_of(root)
    there = tmp_path_factory.mktemp("plans")
    manifest = (root / "manifest.json").read_bytes()
    (root / "plan.arrow").rename(there / "smaller.arrow")
    assert steps_of(root, plan="smaller.arrow", plan_folder=there) == expected
    content = orjson.loads((root / "manifest.json").read_bytes())
    (root / "manifest.json").write_bytes(orjson.dumps({**content, "stage": "instruct"}))
    with pytest.raises(PlanError, match="was made for another manifest"):
        PlannedRows(root, plan="smaller.arrow", plan_folder=there)
    (there / "manifest.json").write_bytes(manifest)  # the one that the plan is of goes with it
    assert steps_of(root, plan="smaller.arrow", plan_folder=there) == expected


def test_a_tar_written_anew_with_its_manifest_is_told_by_a_plan_of_the_old_one(
    root: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    there = tmp_path_factory.mktemp("plans")
    for name in ("plan.arrow", "manifest.json"):
        (there / name).write_bytes((root / name).read_bytes())
    content = orjson.loads((root / "manifest.json").read_bytes())
    content["shards"][2]["sha256"] = "0" * 64  # as large as it was, and with the same first sample
    (root / "manifest.json").write_bytes(orjson.dumps(content))
    with pytest.raises(PlanError, match=f"{NAMES[2]}: is another tar than the plan is of") as told:
        PlannedRows(root, plan_folder=there)
    assert "train in another --out" in str(told.value)
    assert "curate shards plan" not in str(told.value)  # that would leave this plan as it is


def test_no_plan_is_told(root: Path) -> None:
    (root / "plan.arrow").unlink()
    with pytest.raises(PlanError, match="curate shards plan DIR"):
        PlannedRows(LocalFolder(root))


def test_ranks_that_do_not_divide_are_told(root: Path) -> None:
    with pytest.raises(LoaderError, match="Train on 1, 2, 4 ranks"):
        PlannedRows(root, rank=0, world=3)


def test_a_sample_larger_than_the_limit_is_reported_and_left_out(root: Path) -> None:
    items = list(PlannedRows(root, max_sample_bytes=3000, max_bad=100))
    assert {bad.reason.split(": ")[1] for item in items for bad in item.bad} == {
        "not read; raise it where the memory of a worker allows that, or leave the sample out of the plan"
    }
    assert [len(item.rows) for item in items] == [4] * STEPS


def test_without_torch_the_extra_is_named() -> None:
    script = "import sys; sys.modules['torch'] = None; import shards.loader"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert "ModuleNotFoundError: the loader needs torch; in the checkout: uv pip install -e '.[train]'" in done.stderr


def test_reading_rows_loads_no_torch() -> None:
    script = (
        "import sys; import shards.row_reader, shards.loader_samples, shards.plan_file; print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
