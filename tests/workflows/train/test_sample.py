"""What is asked of a model for a look, and what is refused; answers are in tests/end_to_end/test_train.py."""

from pathlib import Path

import pytest

from pipelines.errors import UsageError
from tests.workflows.train.made_shards import write_build
from tests.workflows.train.minis import mini
from workflows.train.init import init_random
from workflows.train.sample import _parted, answered


def turn(role: str) -> dict[str, str]:
    return {"role": role, "text": f"of the {role}"}


@pytest.mark.parametrize(("roles", "asked", "wanted"), [
    (["user", "assistant"], 1, "of the assistant"),
    (["system", "user", "assistant", "user", "analysis", "assistant"], 4, "of the assistant"),
    (["text"], 1, ""),
    (["user"], 1, ""),
])  # fmt: skip
def test_the_last_answer_is_kept_back_with_the_thoughts_before_it(roles: list[str], asked: int, wanted: str) -> None:
    turns = [turn(role) for role in roles]
    assert _parted(turns) == (turns[:asked], wanted)


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no weights"):
        answered(tmp_path, None, 1, 8)


def test_weights_without_a_run_ask_for_shards_and_shards_for_an_index(tmp_path: Path) -> None:
    init_random(mini(), tmp_path / "init", 0)
    with pytest.raises(UsageError) as refused:
        answered(tmp_path / "init", None, 1, 8)
    assert "--shards" in refused.value.hint
    with pytest.raises(UsageError, match="index"):
        answered(tmp_path / "init", str(write_build(tmp_path / "old", samples=2)), 1, 8)
