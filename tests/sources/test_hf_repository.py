import bz2
import gzip
from pathlib import Path
from typing import Any

import orjson
import pytest

from sources.readers.hf_library import datasets_library
from sources.records import Corpus, CorpusError, Record
from tests.sources.corpora import corpus_in, planned, read
from tests.sources.hf_sets import film


def rows(folder: Path, name: str, texts: list[str]) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if name.endswith(".csv"):
        path.write_text("text\n" + "\n".join(texts) + "\n")
    elif name.endswith(".json"):
        path.write_bytes(orjson.dumps([{"text": text} for text in texts]))
    else:
        path.write_bytes(b"\n".join(orjson.dumps({"text": text}) for text in texts))


def corpus_of(folder: Path, **card: Any) -> Corpus:
    files = {"x": tuple(f"**/*.{end}" for end in ("parquet", "jsonl", "json", "csv", "arrow", "tsv"))}
    corpus = corpus_in(folder, "hf", files, **{"fields": {"text": "text"}, **card})
    return Corpus(corpus.name, corpus.root, corpus.card, corpus.identity, corpus.files)


def texts(corpus: Corpus) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for record in read(corpus):
        assert isinstance(record, Record)
        found.setdefault(record.row["@split"], []).append(record.row["text"])
    return {split: sorted(rows) for split, rows in found.items()}


def oracle(folder: Path, cache: Path, config: str | None = None) -> dict[str, list[str]]:
    """What `datasets` itself loads from the folder."""
    loaded = datasets_library().load_dataset(str(folder), name=config, cache_dir=str(cache))
    return {str(split): sorted(dataset["text"][:]) for split, dataset in loaded.items()}


LAYOUTS: dict[str, dict[str, list[str]]] = {
    "split_in_name": {"train.jsonl": ["a", "b"], "test.jsonl": ["c"], "dev.jsonl": ["d"]},
    "split_folders": {"train/x.csv": ["a", "b"], "validation/y.csv": ["c"]},
    "sharded": {"data/train-00000-of-00002.jsonl": ["a"], "data/train-00001-of-00002.jsonl": ["b"],
                "data/test-00000-of-00001.jsonl": ["c"]},
    "no_split": {"one.json": ["a", "b"], "two.json": ["c"]},
    "other_forms_beside": {"train.jsonl": ["a"], "train2.jsonl": ["b"], "notes.csv": ["no"]},
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_files_and_splits_are_those_that_datasets_finds(tmp_path: Path, layout: str) -> None:
    folder = tmp_path / "repository"
    for name, content in LAYOUTS[layout].items():
        rows(folder, name, content)
    assert texts(corpus_of(folder)) == oracle(folder, tmp_path / "cache")


CARD = """---
license: mit
configs:
- config_name: easy
  data_files:
  - {split: train, path: "easy/*.jsonl"}
  - {split: test, path: ["held/a.jsonl"]}
- config_name: hard
  default: DEFAULT
  data_dir: hard
---
# Films
"""


@pytest.mark.parametrize("config", [None, "easy", "hard"])
def test_the_configs_of_a_card_are_followed(tmp_path: Path, config: str | None) -> None:
    folder = tmp_path / "repository"
    for name in ("easy/1.jsonl", "easy/2.jsonl", "held/a.jsonl", "held/b.jsonl", "hard/train.jsonl", "hard/test.jsonl"):
        rows(folder, name, [name])
    (folder / "README.md").write_text(CARD.replace("DEFAULT", "true"))
    options = {} if config is None else {"config": config}
    assert texts(corpus_of(folder, options=options)) == oracle(folder, tmp_path / "cache", config)


def test_a_config_must_be_chosen_and_exist(tmp_path: Path) -> None:
    rows(tmp_path, "easy/1.jsonl", ["a"])
    (tmp_path / "README.md").write_text(CARD.replace("  default: DEFAULT\n", ""))
    with pytest.raises(CorpusError, match=r"several configs: choose one .* of easy, hard"):
        planned(corpus_of(tmp_path))
    with pytest.raises(CorpusError, match="no config 'eesy'"):
        planned(corpus_of(tmp_path, options={"config": "eesy"}))


PACKERS = {"gz": gzip.compress, "z2": bz2.compress}
SETTINGS = """---
configs:
- {config_name: default, data_files: a.FORM, SETTING}
---
"""


def test_settings_of_a_config_are_followed_by_datasets_itself(tmp_path: Path) -> None:
    folder = tmp_path / "repository"
    rows(folder, "a.csv", ["a|x", "b,c|x"])
    (folder / "a.csv").write_text("text|more\n" + "a|x\nb,c|x\n")
    (folder / "README.md").write_text(SETTINGS.replace("FORM", "csv").replace("SETTING", 'sep: "|"'))
    assert texts(corpus_of(folder)) == oracle(folder, tmp_path / "cache") == {"train": ["a", "b,c"]}


ODD = 'id,text\n007,None\n1,NA\n,null\n2,"a, b"\n'


@pytest.mark.parametrize("name", ["a.csv.gz", "a.csv.bz2"])
def test_a_csv_gives_the_same_records_compressed_as_plain(tmp_path: Path, name: str) -> None:
    found = []
    for folder, data in (("plain/a.csv", ODD.encode()), (f"packed/{name}", PACKERS[name[-2:]](ODD.encode()))):
        (tmp_path / folder).parent.mkdir()
        (tmp_path / folder).write_bytes(data)
        corpus = corpus_in((tmp_path / folder).parent, "hf", "**/a.csv*", fields={"text": "text"}, meta=("id",))
        found.append([record.row for record in read(corpus) if isinstance(record, Record)])
    assert found[0] == found[1]
    rows = [("007", "None"), ("1", "NA"), ("", "null"), ("2", "a, b")]
    assert [(row["id"], row["text"]) for row in found[0]] == rows


def test_a_csv_whose_config_has_settings_gives_texts_too(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text|id\nNone|007\nb,c|\n")
    (tmp_path / "README.md").write_text(SETTINGS.replace("FORM", "csv").replace("SETTING", 'sep: "|"'))
    records = read(corpus_of(tmp_path, meta=("id",)))
    rows = [record.row for record in records if isinstance(record, Record)]
    assert [(row["text"], row["id"]) for row in rows] == [("None", "007"), ("b,c", "")]


def test_settings_that_would_change_records_of_parquet_are_refused(tmp_path: Path) -> None:
    film(2).to_parquet(str(tmp_path / "a.parquet"))
    (tmp_path / "README.md").write_text(SETTINGS.replace("FORM", "parquet").replace("SETTING", "columns: [note]"))
    with pytest.raises(CorpusError, match="sets columns, which is not followed for parquet"):
        planned(corpus_of(tmp_path))


def test_one_bad_record_ends_a_streamed_file_and_costs_itself_in_gzip(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data = b'{"text": "a"}\n{oops\n{"text": "c"}\n'
    for name in ("one/a.jsonl.bz2", "two/a.jsonl.gz"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(PACKERS[name[-2:]](data))
    fields = {"text": "text"}
    with pytest.raises(CorpusError, match=r"a\.jsonl\.bz2: `datasets` cannot read it"):
        read(corpus_in(tmp_path / "one", "hf", "**/a*", fields=fields))
    told = capfd.readouterr()
    assert "a.jsonl" not in told.out + told.err
    records = read(corpus_in(tmp_path / "two", "hf", "**/a*", fields=fields))
    assert [isinstance(record, Record) for record in records] == [True, False, True]


@pytest.mark.parametrize("name", ["chunksize", "split", "cache_dir", "streaming", "trust_remote_code"])
def test_a_readme_has_no_say_in_how_datasets_is_called(tmp_path: Path, name: str) -> None:
    rows(tmp_path, "a.csv", ["a"])
    (tmp_path / "README.md").write_text(SETTINGS.replace("FORM", "csv").replace("SETTING", f'sep: ",", {name}: 1'))
    with pytest.raises(CorpusError, match=rf"sets {name}, which is not followed for csv: read its files with"):
        planned(corpus_of(tmp_path))


def test_a_loading_script_is_never_run(tmp_path: Path) -> None:
    (tmp_path / "films.py").write_text("raise SystemExit('it was run')")
    rows(tmp_path, "state.d/x.json", [])
    (tmp_path / "README.md").write_text("---\nconfigs:\n- {config_name: default, data_files: nothing/*.jsonl}\n---\n")
    with pytest.raises(
        CorpusError, match=r"loading script, which is never run: use the commit .* refs/convert/parquet"
    ):
        planned(corpus_of(tmp_path))


def test_a_card_that_is_no_yaml_is_an_error(tmp_path: Path) -> None:
    rows(tmp_path, "a.jsonl", ["a"])
    (tmp_path / "README.md").write_text("---\nconfigs: {a: [\n---\n")
    with pytest.raises(CorpusError, match=r"README\.md cannot be read"):
        planned(corpus_of(tmp_path))


def test_labels_in_parquet_have_their_names(tmp_path: Path) -> None:
    film(4).to_parquet(str(tmp_path / "train.parquet"))
    records = read(corpus_of(tmp_path, fields={"text": "note"}, meta=("label", "tags")))
    assert [record.row["label"] for record in records if isinstance(record, Record)] == ["normal", "gout"] * 2
    assert isinstance(records[1], Record)
    assert records[1].row["tags"] == ["normal", "gout"]


def test_a_file_that_comes_later_may_change_the_split_of_another(tmp_path: Path) -> None:
    rows(tmp_path, "one.jsonl", ["a"])
    rows(tmp_path, "exam.jsonl", ["b"])
    before = planned(corpus_of(tmp_path))
    rows(tmp_path, "test_exam.jsonl", ["c"])
    assert texts(corpus_of(tmp_path)) == {"test": ["c"]}
    assert [fragment.path for fragment in before] == ["exam.jsonl", "one.jsonl"]
