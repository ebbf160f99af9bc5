"""The ten traps of training: takes each cover away, one at a time, and runs the test that has to fail then.

    .venv/bin/python -m benchmarks.train_traps [--slow] [TRAP ...]

The project is copied, the copy is changed, its test runs in it. Before that all of these tests run unchanged and have
to pass. `--slow` also tries what only ranks in a real run show (traps 4 and 9; minutes each). Exit status 1 where a
test passes without its cover.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

PROJECT = Path(__file__).resolve().parents[1]
TESTS = "tests/workflows/train/"
TRAIN = "workflows/train/"

LABELLED_ONLY = """\
        kept = targets_N != IGNORED
        hidden_NH, targets_N = hidden_NH[kept], targets_N[kept]
        total = torch.zeros((), dtype=torch.float32, device=hidden_NH.device)"""


class Cover(NamedTuple):
    """What is taken away: (file, text, text in its place), and the test that has to notice."""

    trap: int
    name: str
    edits: Sequence[tuple[str, str, str]]
    test: str
    slow: bool = False


COVERS = (
    Cover(1, "masks made with positions", [
        ("packed.py", '"position_ids": positions_BS}', '"position_ids": None}')],
        "test_packed.py::test_documents_of_a_packed_row_do_not_see_each_other"),
    Cover(2, "a picture that no token stands for", [
        ("batch.py", "or [np.zeros((1, 3, side, side), np.float32)]", "or [np.zeros((0, 3, side, side), np.float32)]"),
        ("packed.py", "        features = self.model.get_image",
         "        if not len(pixels):\n            return hidden_BSH\n        features = self.model.get_image")],
        "test_packed.py::test_a_row_without_pictures_runs_the_picture_encoder_forward_and_backward"),
    Cover(3, "chunks of the loss by shape alone", [
        ("packed.py", "        total = torch.zeros((), dtype=torch.float32, device=hidden_NH.device)",
         LABELLED_ONLY)],
        "test_packed.py::test_the_head_is_called_as_often_whatever_is_labelled"),
    Cover(4, "names of a fresh model (under ZeRO-3)", [
        ("weights.py", "save_original_format=False, max", "save_original_format=True, max")],
        "test_distributed.py::test_the_export_has_the_names_of_a_fresh_model", slow=True),
    Cover(4, "names of a fresh model (loaded by one process)", [
        ("weights.py", "save_original_format=False, max", "save_original_format=True, max")],
        "test_init.py::test_a_model_that_was_loaded_is_saved_under_the_names_of_a_fresh_one"),
    Cover(5, "strict loading", [
        ("weights.py", "    refuse_unaccounted(told, str(directory), ignored)\n", "")],
        "test_init.py::test_names_that_would_leave_the_head_random_are_refused"),
    Cover(6, "hooks on the routers", [
        ("packed.py", "                module.register_forward_hook(self._noted)", "                pass")],
        "test_packed.py::test_the_routers_balance_is_in_the_loss_and_reaches_their_weights"),
    Cover(7, "attention asserted by name", [("attention.py", "        if found != {expected}:", "        if False:")],
        "test_attention.py::test_a_model_with_another_attention_than_asked_for_is_refused"),
    Cover(7, "attention compared by number", [("attention.py", "    if not worst <= TOLERANCE:", "    if False:")],
        "test_attention.py::test_a_kernel_that_drops_sinks_or_masks_is_refused"),
    Cover(8, "rows of a step that the ranks divide", [
        ("planning.py", "    if recipe.rows_per_step is not None and recipe.rows_per_step % world:", "    if False:")],
        "test_planning.py::test_rows_that_the_ranks_do_not_divide_are_refused_with_a_number_that_they_do"),
    Cover(9, "a first step that learns", [("recipe.py", "return (step + 1) / warmup", "return step / warmup")],
        "test_recipe.py::test_the_rate_rises_to_its_peak_from_above_zero_and_falls_to_its_end"),
    Cover(9, "universal checkpoints for other numbers of ranks", [
        ("rank.py", "    universal = found is not None and found[1].world != ranks.world", "    universal = False"),
        ("checkpoint.py", "place if about.world == ranks.world else", "place if True else")],
        "test_distributed.py::test_the_command_goes_on_with_one_rank_where_two_stopped", slow=True),
    Cover(9, "the optimizer put right after them", [("checkpoint.py", "    engine.put_right()\n", "")],
        "test_distributed.py::test_the_command_goes_on_with_one_rank_where_two_stopped", slow=True),
    Cover(9, "nothing compiled", [("engine.py", "        never_compile()\n", "        pass\n")],
        "test_distributed.py::test_nothing_is_compiled", slow=True),
    Cover(10, "frequencies asserted", [("attention.py", "    if found.dtype != torch.float32 or", "    if False and")],
        "test_attention.py::test_frequencies_that_were_rounded_to_bfloat16_are_refused"),
)  # fmt: skip


def main() -> int:
    """Print one line for each cover."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("traps", nargs="*", type=int)
    parser.add_argument("--slow", action="store_true")
    given = parser.parse_args()
    covers = [one for one in COVERS if (given.slow or not one.slow) and (not given.traps or one.trap in given.traps)]
    with tempfile.TemporaryDirectory(prefix="curate-traps-") as name:
        copy = Path(name) / "project"
        shutil.copytree(PROJECT, copy, ignore=shutil.ignore_patterns(".git", ".venv", "__pycache__", ".*_cache"))
        status, seconds, words = _tested(copy, sorted({one.test for one in covers}))
        print(f"with all covers: {words} in {seconds:.0f} s", flush=True)
        if status:
            return 1
        unnoticed = [one for one in covers if not _noticed(copy, one)]
    return 1 if unnoticed else 0


def _noticed(copy: Path, cover: Cover) -> bool:
    """Whether the test fails without the cover; as it was found the copy is left."""
    before = {copy / TRAIN / file: (copy / TRAIN / file).read_text() for file, _, _ in cover.edits}
    for file, old, new in cover.edits:
        place = copy / TRAIN / file
        text = place.read_text()
        if text.count(old) != 1:
            raise SystemExit(
                f"trap {cover.trap}: {file} has {text.count(old)} times {old!r}: the script is out of date"
            )
        place.write_text(text.replace(old, new))
    status, seconds, words = _tested(copy, [cover.test])
    for place, text in before.items():
        place.write_text(text)
    told = "fails" if status == 1 else "PASSES" if status == 0 else f"PYTEST ENDS WITH {status}"
    print(f"{cover.trap:>2} without {cover.name}: {cover.test} {told} ({words}; {seconds:.0f} s)", flush=True)
    return status == 1


def _tested(copy: Path, tests: Sequence[str]) -> tuple[int, float, str]:
    """Exit status of pytest, seconds, and its last words."""
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--no-header", "--tb=line", "-p", "no:cacheprovider",
         *(TESTS + test for test in tests)],
        cwd=copy, capture_output=True, text=True, check=False,
    )  # fmt: skip
    words = [line for line in done.stdout.splitlines() if " passed" in line or " failed" in line or " error" in line]
    return done.returncode, time.perf_counter() - began, words[-1].strip("= ") if words else done.stderr[-300:]


if __name__ == "__main__":
    sys.exit(main())
