import pyarrow as pa

from pipelines.takedown.step import CONTENT, blanked
from sources.schema import SAMPLES

SCHEMA = pa.schema([field.with_nullable(True) for field in SAMPLES])


def test_blanked_rows_say_nothing_and_others_all() -> None:
    row = {"sample_id": "a", "turns": [{"role": "user", "text": "t"}], "question": "q", "options": ["o"],
           "answer": "a", "meta": "m", "source_key": "k"}  # fmt: skip
    table = blanked(pa.Table.from_pylist([row] * 3, schema=SCHEMA), [1])
    assert table.slice(1, 1).to_pylist()[0]["source_key"] == "k"
    for number, gone in enumerate((False, True, False)):
        assert all((table.to_pylist()[number][name] is None) == gone for name in CONTENT)
    assert table.schema.names == SAMPLES.names
