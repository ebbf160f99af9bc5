import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest

from sources.readers import registry
from sources.readers.registry import READERS, reader_named
from sources.records import CorpusError


@pytest.mark.parametrize("name", READERS)
def test_every_reader_can_be_made(name: str) -> None:
    reader = reader_named(name)
    assert reader.unit in ("file", "folder")
    assert callable(reader.plan)
    assert callable(reader.read)


def test_an_unknown_name_is_an_error_with_the_nearest_one() -> None:
    with pytest.raises(CorpusError, match="no reader 'parqet'; did you mean 'parquet'"):
        reader_named("parqet")


def test_readers_of_other_packages_are_found_by_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("theirs", "sources.readers.jsonl:JsonlReader", "curate.readers")
    monkeypatch.setattr(registry, "entry_points", lambda group: [point] if group == "curate.readers" else [])
    assert type(reader_named("theirs")).__name__ == "JsonlReader"


def test_naming_readers_imports_none_of_what_they_need() -> None:
    script = "import sys, sources.readers.registry; print({'pyarrow.parquet', 'pydicom'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("name", READERS)
def test_every_reader_has_a_version(name: str) -> None:
    assert reader_named(name).version >= 1
