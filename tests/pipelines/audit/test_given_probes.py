from pathlib import Path

import orjson
import pytest

from pipelines.audit.given_probes import read_given
from pipelines.errors import UsageError
from sources.storage import LocalFolder

GOOD = {"eval_set": "mine", "eval_id": "one", "text": "Is it?", "transform": "reworded", "expect": "found"}


def folder(place: Path, *lines: object) -> LocalFolder:
    (place / "probes.jsonl").write_bytes(b"\n".join(map(orjson.dumps, lines)))
    return LocalFolder(place)


def test_probes_are_known_by_their_lines_and_pictures(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"one")
    lines = GOOD, {**GOOD, "image": "a.png"}
    first = read_given(folder(tmp_path, *lines))
    assert first == read_given(folder(tmp_path, *lines))
    assert first.count == 2
    (tmp_path / "a.png").write_bytes(b"two")
    assert read_given(folder(tmp_path, *lines)).digest != first.digest


@pytest.mark.parametrize(("line", "said"), [
    ({**GOOD, "expects": "found"}, "expects"),
    ({**GOOD, "expect": "perhaps"}, "expect"),
    ({key: value for key, value in GOOD.items() if key != "text"}, "neither text nor image"),
    ({key: value for key, value in GOOD.items() if key != "eval_id"}, "no eval_id"),
    ({**GOOD, "image": "gone.png"}, "its image is not there"),
    ({**GOOD, "image": "../outside.png"}, "its image is not there"),
])  # fmt: skip
def test_a_wrong_line_is_named_and_its_text_is_not_shown(tmp_path: Path, line: object, said: str) -> None:
    with pytest.raises(UsageError) as raised:
        read_given(folder(tmp_path, GOOD, line))
    assert "line 2" in raised.value.message
    assert said in raised.value.message
    assert "Is it?" not in raised.value.message


def test_a_folder_without_probes_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no probes\.jsonl there"):
        read_given(LocalFolder(tmp_path))
