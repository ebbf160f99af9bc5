"""Leaks that really exist between public sets: what `curate audit` finds of each, and why it does not find the rest.

    python -m benchmarks.leaks [--data DIR] [--json]

`--data` is the shared data, whose folder `leaks/` lists them. Each audit is the command, in a process of its own, in a
temporary folder; the findings are read from its table. Exits 1 where a leak is neither found nor explained.
"""

import argparse
import csv
import json
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import yaml

CONTENT = ("exact", "reencoded", "partial", "near_text", "paraphrase")
SIBLING = (*CONTENT, "template_sibling", "passage_shared")
GENERIC_WORDS = 16
"""Words up to which a caption or dialogue is one of many like it."""
Row = dict[str, Any]


@dataclass
class Outcome:
    """Of one list of leaks: how many of its rows were found, and why the others are not."""

    file: str
    what: str
    rows: int
    found: int
    explained: dict[str, int] = field(default_factory=dict)
    missed: list[str] = field(default_factory=list)

    def explain(self, why: str) -> None:
        """One more row that is not found, with the reason."""
        self.explained[why] = self.explained.get(why, 0) + 1


class Audits:
    """Runs audits in a folder."""

    def __init__(self, data: Path, work: Path) -> None:
        self.data = data
        self.work = work
        self.count = 0

    def findings(self, data: Path, against: str | Path, fields: Row | None = None) -> pl.DataFrame:
        """Findings of an audit of any grade; `against` is a registered name, or a folder."""
        self.count += 1
        out = self.work / f"audit{self.count}"
        command = [str(Path(sys.executable).with_name("curate")), "audit", str(data), "--against", str(against)]
        command += ["--evals", str(self.data), "--no-calibrate", "--json", "--fail-on", "same_group", "--out", str(out)]
        if fields:
            path = self.work / f"fields{self.count}.yaml"
            path.write_text(yaml.safe_dump(fields))
            command += ["--fields", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode not in (0, 1, 3) or not (out / "contamination.json").is_file():
            raise SystemExit(f"{' '.join(command)}\n{done.stderr[-2000:]}")
        return pl.read_parquet(out / "tables" / "findings" / "part-000000.parquet")

    def items(self, *given: Any, grades: tuple[str, ...] = CONTENT, **more: Any) -> set[str]:
        """Ids of the items found at one of the grades."""
        return _ids(self.findings(*given, **more), grades)

    def written(self, rows: Iterable[Row]) -> Path:
        """A file of records."""
        self.count += 1
        path = self.work / f"data{self.count}.jsonl"
        path.write_text("\n".join(json.dumps(row) for row in rows))
        return path

    def eval_set(self, rows: Iterable[Row], **said: Any) -> Path:
        """A folder with an `evalset.yaml` and these records."""
        self.count += 1
        folder = self.work / f"evals{self.count}"
        folder.mkdir()
        shutil.move(self.written(rows), folder / "test.jsonl")
        about = {"name": f"evals{self.count}", "version": "1", "reader": "jsonl", "path": "test.jsonl", **said}
        (folder / "evalset.yaml").write_text(yaml.safe_dump(about))
        return folder


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("/work/shared/data"))
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--only", choices=sorted(LISTS), action="append")
    given = parser.parse_args()
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory() as work:
        audits = Audits(given.data.resolve(), Path(work))
        for name in given.only or LISTS:
            for outcome in LISTS[name](audits):
                outcomes.append(outcome)
                if not given.json:
                    told = "; ".join(f"{count} {why}" for why, count in outcome.explained.items())
                    sys.stdout.write(
                        f"{outcome.file}: {outcome.what}: {outcome.found} of {outcome.rows} found; {told}\n"
                    )
                    sys.stdout.writelines(f"  missed: {one}\n" for one in outcome.missed)
    if given.json:
        sys.stdout.write(json.dumps([asdict(outcome) for outcome in outcomes], indent=2) + "\n")
    if any(outcome.missed for outcome in outcomes):
        raise SystemExit(1)


def vqa_rad(audits: Audits) -> Iterator[Outcome]:
    """Test pictures that are training pictures, and questions asked of them twice."""
    name = "vqa_rad_train_test_images.jsonl"
    train = audits.data / "images/vqa_rad/data/trainset.json"
    fields = {"id": "qid", "image": "image_name", "question": "question", "answer": "answer"}
    table = audits.findings(train, "vqa_rad", fields)
    seen = _ids(table.filter(pl.col("channel").is_in(["image", "pair"])), CONTENT)
    asked = _ids(table.filter(pl.col("channel") == "pair"), CONTENT)
    rows = _listed(audits, name)
    found = [set(map(str, row["test_qids"])) <= seen for row in rows]
    missed = [row["image"] for row, there in zip(rows, found, strict=True) if not there]
    yield Outcome(name, "test pictures in training", len(rows), sum(found), missed=missed)
    questions = {str(pair[1]) for row in rows for pair in row["same_question"]}
    missed = sorted(questions - asked)
    yield Outcome(
        name, "test questions in training with their picture", len(questions), len(questions & asked), missed=missed
    )


def slake(audits: Audits) -> Iterator[Outcome]:
    """Test cases that are training cases; the pictures are not in the shared data, their names are."""
    folder = audits.data / "text/eval_slake_text/Slake1.0"
    train, test = (json.loads((folder / f"{name}.json").read_text()) for name in ("train", "test"))
    for what, language, tested in (
        ("test pictures in training, both languages", ("en", "zh"), ("en", "zh")),
        ("English test pictures in Chinese training", ("zh",), ("en",)),
        ("English test pictures in English training", ("en",), ("en",)),
    ):
        rows = [row for row in train if row["q_lang"] in language]
        trained = {row["img_name"] for row in rows}
        data = audits.written(
            {"id": row["qid"], "question": row["question"], "answer": row["answer"], "case": row["img_name"]}
            for row in rows
        )
        found = audits.items(data, "slake", grades=(*SIBLING, "same_group"))
        asked = [row for row in test if row["q_lang"] in tested]
        leaked = {row["img_name"] for row in asked} & trained
        there = {row["img_name"] for row in asked if str(row["qid"]) in found}
        yield Outcome("SLAKE", what, len(leaked), len(leaked & there), missed=sorted(leaked ^ there))


def roco_articles(audits: Audits) -> Iterator[Outcome]:
    """Test figures of articles that training figures come from."""
    name = "roco_shared_articles.jsonl"
    rows = [row for row in _listed(audits, name) if row["pmcid"] != "PMC"]
    licences = sorted((audits.data / "text/caption_roco/data/train").glob("*/licences.txt"))
    train = [row for path in licences for row in csv.DictReader(path.open())]
    data = audits.written(
        {"id": row["ROCO_ID"], "text": f"Figure {row['ROCO_ID']}", "article": row["PMC_ID"].partition("_")[0]}
        for row in train
    )
    found = audits.items(data, "roco", grades=(*SIBLING, "same_group"))
    wanted = [row for row in rows if "train" in row and "test" in row]
    items = [{one.partition(":")[0] for one in row["test"]} for row in wanted]
    there = [ids <= found for ids in items]
    outcome = Outcome(name, "articles in training and test", len(rows), sum(there))
    outcome.missed = [row["pmcid"] for row, ok in zip(wanted, there, strict=True) if not ok]
    for _ in range(len(rows) - len(wanted)):
        outcome.explain("have no training or no test figure: validation is not the split that is evaluated")
    yield outcome


def text_pairs(audits: Audits) -> Iterator[Outcome]:
    """Questions, dialogues and captions of two sets or splits."""
    name = "text_pairs.jsonl"
    pairs: dict[tuple[str, str], list[Row]] = {}
    for pair in _listed(audits, name):
        pairs.setdefault((pair["set_a"], pair["set_b"]), []).append(pair)
    rows = pairs["medqa_test", "medxpertqa_text"]
    found = audits.items(audits.written({"question": row["text_b"]} for row in rows), "medqa")
    yield _told(name, rows, lambda row: any(one.endswith(f"#{row['id_a']}") for one in found), _cut)
    demo = audits.data / "text/train_huatuo_o1_demo/data/demo_data.json"
    fields = {"question": "question", "options": "options", "answer": "answer"}
    found = audits.items(demo, "medmcqa", fields)
    yield _told(name, pairs["medmcqa_dev", "huatuo_o1_demo"], lambda row: row["id_a"] in found, _nothing)
    for (first, second), rows in pairs.items():
        if first.partition("_")[0] not in ("mts", "roco"):
            continue
        there, here = _texts(audits, second), _texts(audits, first)
        evals = audits.eval_set(
            ({"id": key, "text": text} for key, text in there), fields={"id": "id", "text": "text"}, task="text"
        )
        table = audits.findings(audits.written({"id": key, "text": text} for key, text in here), evals)
        found, weak = _ids(table, CONTENT), _ids(table, SIBLING)
        told = partial(_generic, texts=dict(there), often=Counter(text for _, text in there), weak=weak)
        yield _told(name, rows, partial(_is_in, found), told)


def brain_mri(audits: Audits) -> Iterator[Outcome]:
    """Films in both folders."""
    name = "brain_mri_sartaj_train_test_leaks.jsonl"
    folder = audits.data / "images/brain_mri_sartaj"
    evals = audits.work / "testing"
    shutil.copytree(folder / "Testing", evals)
    about = {"name": "testing", "version": "1", "reader": "image_folder", "task": "caption"}
    (evals / "evalset.yaml").write_text(yaml.safe_dump(about))
    found = audits.items(folder / "Training", evals)
    outcome = Outcome(name, "Testing films in Training", 0, 0)
    verdicts: dict[str, str] = {}
    for row in _listed(audits, name):
        test = next(path for path in (row["a"], row["b"]) if "/Testing/" in path)
        verdicts[test] = min(verdicts.get(test, row["verdict"]), row["verdict"])
    for test, verdict in verdicts.items():
        outcome.rows += 1
        if any(one.endswith(test.partition("/Testing/")[2]) for one in found):
            outcome.found += 1
        else:
            outcome.missed.append(f"{test} ({verdict})")
    yield outcome


def _told(file: str, rows: list[Row], found: Callable[[Row], bool], why: Callable[[Row], str | None]) -> Outcome:
    outcome = Outcome(file, f"{rows[0]['set_a']} x {rows[0]['set_b']}", len(rows), 0)
    for row in rows:
        reason = None if found(row) else why(row)
        if found(row):
            outcome.found += 1
        elif reason is not None:
            outcome.explain(reason)
        else:
            outcome.missed.append(f"{row['id_a']} x {row['id_b']}: {row['text_b'][:80]}")
    return outcome


def _nothing(row: Row) -> None:
    """There is no excuse."""


def _cut(row: Row) -> str | None:
    """Why a question is not found."""
    return (
        "are given by their first 300 characters, of which the question is not part"
        if len(row["text_b"]) >= 300
        else None
    )


def _is_in(found: set[str], row: Row) -> bool:
    return _key(row) in found


def _generic(row: Row, texts: dict[str, str], often: Counter[str], weak: set[str]) -> str | None:
    """Why a caption or dialogue is no evidence."""
    text = texts.get(_key(row)) or str(row["text_b"])
    if often[text] > 1:
        return "are texts that several items of the split have"
    if len(text.split()) <= GENERIC_WORDS:
        return f"are of up to {GENERIC_WORDS} words that many texts have"
    return "are told as siblings (a number, side or name differs)" if _key(row) in weak else None


def _key(row: Row) -> str:
    return str(row["id_b"])


def _texts(audits: Audits, name: str) -> list[tuple[str, str]]:
    """Ids and texts of a split of ROCO or MTS-Dialog."""
    if name.startswith("roco"):
        folder = audits.data / "text/caption_roco/data" / name.removeprefix("roco_")
        lines = [line for path in sorted(folder.glob("*/captions.txt")) for line in path.read_text().splitlines()]
        return [(key, text.strip()) for key, _, text in (line.partition("\t") for line in lines)]
    part = {"train": "TrainingSet", "val": "ValidationSet", "test1": "TestSet-1", "test2": "TestSet-2"}[
        name.removeprefix("mts_")
    ]
    (path,) = (audits.data / "text/text_mts_dialog").rglob(f"*{part}*.csv")
    return [(row["ID"], row["dialogue"]) for row in csv.DictReader(path.open(newline=""))]


def _listed(audits: Audits, name: str) -> list[Row]:
    return [json.loads(line) for line in (audits.data / "leaks" / name).read_text().splitlines()]


def _ids(findings: pl.DataFrame, grades: tuple[str, ...]) -> set[str]:
    return set(findings.filter(pl.col("grade").is_in(grades))["eval_id"].to_list())


LISTS: dict[str, Callable[[Audits], Iterator[Outcome]]] = {
    "vqa_rad": vqa_rad,
    "slake": slake,
    "roco_articles": roco_articles,
    "text_pairs": text_pairs,
    "brain_mri": brain_mri,
}

if __name__ == "__main__":
    main()
