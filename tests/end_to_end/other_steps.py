"""Packages of others, written to a folder as `pip install --target` would leave them."""

import os
import re
from pathlib import Path

import orjson
import yaml

PAGE = Path(__file__).parents[2] / "docs" / "adding_a_step.md"
FILE = re.compile(r"<!-- file: (\S+) -->\n```\w+\n(.*?)```\n", re.DOTALL)

STEP = """
from typing import Any
import numpy as np
import pyarrow as pa
from filters.verdicts import all_kept, decided

class Step:
    name, version, columns, reads = "added", 1, ("sample_id", "answer"), ()
    def __init__(self, settings):
        self.settings = settings
        self.model = lambda: None  # nothing that could be pickled
    def parameters(self):
        return self.settings
    def decide(self, samples, facts):
        {body}
def make(settings):
    return Step(settings)
"""


def step_code(body: str) -> str:
    """The code of a package with a step `added` whose `decide` has this body."""
    return STEP.replace("{body}", body)


def files_of_the_page() -> dict[str, str]:
    """The files of the example package, as docs/adding_a_step.md shows them."""
    return dict(FILE.findall(PAGE.read_text(encoding="utf-8")))


def package(folder: Path, distribution: str, steps: dict[str, str], code: str, version: str = "1.0") -> None:
    """A distribution whose module, called like it, has the given code; `steps`: name -> name of its factory."""
    folder.mkdir(exist_ok=True)
    (folder / f"{distribution}.py").write_text(code, encoding="utf-8")
    for old in folder.glob(f"{distribution}-*.dist-info"):
        for path in old.iterdir():
            path.unlink()
        old.rmdir()
    info = folder / f"{distribution}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
    points = "".join(f"{name} = {distribution}:{factory}\n" for name, factory in steps.items())
    (info / "entry_points.txt").write_text(f"[curate.steps]\n{points}")


def environment(*folders: Path) -> dict[str, str]:
    """The environment of a process that finds these packages."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, folders))}


def corpus(place: Path, answers: list[str], **steps: object) -> tuple[object, ...]:
    """Questions with these answers, and what to give `curate build` to build them with these steps."""
    data = place / "data"
    data.mkdir(exist_ok=True)
    rows = [{"id": f"r{n}", "q": f"What does film number {n} of this series show?", "a": answer}
            for n, answer in enumerate(answers)]  # fmt: skip
    (data / "reads.jsonl").write_bytes(b"\n".join(map(orjson.dumps, rows)))
    entry = {"name": "reads", "reader": "jsonl", "path": "reads.jsonl", "task": "text_qa", "access": "open",
             "license": "CC0-1.0", "fields": {"id": "id", "question": "q", "answer": "a"}}  # fmt: skip
    recipe = {"stage": "mid", "sources": [entry], "steps": {"tokens": {"min": 1}, **steps}}
    (place / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    return "--recipe", place / "recipe.yaml", "--data", data
