"""What waits in the work folder of a keyed source is sealed."""

from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipelines.joins.joined import with_joined_rows
from tests.pipelines.joins.joining import Join


def test_nothing_that_travels_of_a_keyed_source_is_in_the_clear(tmp_path: Path) -> None:
    records = [{"uid": f"ACC{n:07}", "body": "x"} for n in range(20)]
    rows = [{"id": f"ACC{n:07}", "cc": f"seen by DOE JANE, {n}", "file": None} for n in range(20)]
    found: dict[str, bool] = {}
    for identifiers in ("public", "keyed"):
        folder = tmp_path / identifiers
        folder.mkdir()
        join = Join(folder, identifiers=identifiers).write(records, rows)
        assert [row["cc"] for row in join.by_exchange() if isinstance(row, dict)] == [row["cc"] for row in rows]
        held = [
            path.read_bytes() + (repr(pq.read_table(path).to_pylist()).encode() if path.suffix == ".parquet" else b"")
            for path in (folder / "run").rglob("*")
            if path.is_file()
        ]
        assert not any(b"ACC0000" in data for data in held)
        found[identifiers] = any(b"DOE JANE" in data for data in held)
    assert found == {"public": True, "keyed": False}


def test_the_same_rows_are_sealed_to_the_same_bytes_and_another_site_key_opens_none(tmp_path: Path) -> None:
    join = Join(tmp_path, identifiers="keyed").write([{"uid": 1, "body": "x"}], [{"id": 1, "cc": "MIT", "file": None}])
    join.by_exchange()
    digests = [task.fragment.joined for task in join.tasks]
    (tmp_path / "run").rename(tmp_path / "before")
    join.by_exchange()
    assert [task.fragment.joined for task in join.tasks] == digests
    assert join.session is not None
    corpus = join.session.corpora[0]
    other = replace(corpus.identity, site_key=b"another key of a site")
    assert corpus.companion is not None
    assert corpus.companion.seal is not None
    stranger = replace(corpus, companion=replace(corpus.companion, seal=replace(corpus.companion.seal, identity=other)))
    with pytest.raises(Exception, match=r"^$") as raised:
        with_joined_rows(join.session.work, stranger, join.tasks[0].fragment)
    assert type(raised.value).__name__ == "InvalidTag"
