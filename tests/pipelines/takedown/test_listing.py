from pathlib import Path

import orjson
import pytest

from pipelines.errors import UsageError
from pipelines.takedown.listing import read_list, remembered
from pipelines.takedown.record import digest_of
from sources.identity import keyed_digest

KEY = b"a-site-key-of-enough-bytes"
ODD = "Smith\u2028John\x0b\x85\x1c 7"
"""Python ends a line at each of these; no list does."""


def values(tmp_path: Path, data: str, name: str = "list.csv") -> list[tuple[int, str]]:
    path = tmp_path / name
    path.write_bytes(data.encode())
    return [(entry.line, entry.values[0]) for entry in read_list(path, None)]


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("patient,Smith, John", "Smith, John"),
        ("patient, Smith,  John ,7\t", "Smith,  John ,7"),
        ('patient,"Smith, John"', "Smith, John"),
        ('"patient" , " Smith ""J"", 7 "', ' Smith "J", 7 '),
        ('patient,5" film, "left"', '5" film, "left"'),
        (f"patient,{ODD}", ODD),
        ("patient,\x85 7", "\x85 7"),
    ],
)
def test_a_value_of_a_line_is_what_stands_there(tmp_path: Path, line: str, value: str) -> None:
    text = f"# of May\r\nkind,value\n\n{line}\r\n{line}\nstudy,7"
    assert values(tmp_path, text) == [(4, value), (5, value), (6, "7")]


@pytest.mark.parametrize("value", [ODD, "Smith, John", " 7 ", '"'])
def test_a_value_of_json_is_what_stands_there(tmp_path: Path, value: str) -> None:
    row = orjson.dumps({"kind": "patient", "value": value}).decode()
    assert values(tmp_path, f"{row}\r\n\n{row}", "list.jsonl") == [(1, value), (3, value)]


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ('patient,"SECRET', "a quote is not closed"),
        ('patient,"SECRET" 7', "a quote is not closed"),
        ('"patient,SECRET', "a quote is not closed"),
        ('patient,"SECRET","note"', "more follows a value in quotes"),
    ],
)
def test_quotes_that_leave_a_value_in_doubt_are_refused_unquoted(tmp_path: Path, line: str, error: str) -> None:
    with pytest.raises(UsageError, match=f"line 1: {error}") as caught:
        values(tmp_path, line)
    assert "SECRET" not in caught.value.message


def test_true_is_no_value(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not an object with"):
        values(tmp_path, '{"kind": "patient", "value": true}', "list.jsonl")


def kept(tmp_path: Path, line: str, key: bytes | None, *, private: bool) -> dict[str, frozenset[str]]:
    (tmp_path / "list.csv").write_text(line)
    [entry] = read_list(tmp_path / "list.csv", key)
    return remembered(entry, private=private)


def test_of_people_in_keyed_sources_only_names_under_the_site_key_are_kept(tmp_path: Path) -> None:
    keyed = keyed_digest(KEY, "patient", "PAT-7")
    assert kept(tmp_path, "patient,PAT-7", KEY, private=True) == {"patient": {digest_of("patient", keyed)}}
    assert kept(tmp_path, f"patient,{keyed}", None, private=True) == {"patient": {digest_of("patient", keyed)}}
    assert kept(tmp_path, "patient,PAT-7", None, private=True) == {}
    assert kept(tmp_path, "source_key,7.dcm", None, private=True) == {}
    both = {digest_of("patient", "PAT-7"), digest_of("patient", keyed)}
    assert kept(tmp_path, "patient,PAT-7", KEY, private=False) == {"patient": both}


@pytest.mark.parametrize("line", ["article,PMC7", "license,CC0-1.0", "source,films", f"image_id,{'a' * 32}"])
def test_what_names_nobody_is_kept_as_it_is(tmp_path: Path, line: str) -> None:
    kind, _, value = line.partition(",")
    assert kept(tmp_path, line, None, private=True) == {kind: {digest_of(kind, value)}}


def test_a_bare_id_is_not_kept(tmp_path: Path) -> None:
    assert kept(tmp_path, "a" * 32, None, private=False) == {}
