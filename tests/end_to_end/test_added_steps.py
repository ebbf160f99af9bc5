"""Steps of other packages: the example of the documentation, every shape of step, and steps that misbehave."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import polars as pl
import pytest

from tests.end_to_end.other_steps import corpus, environment, files_of_the_page, package, step_code
from tests.end_to_end.runs import balances, curate_json, published, verdict_of

ANSWERS = [
    "The heart is enlarged, unchanged since the prior study.",
    "No pleural effusion is seen on either side.",
    "The nodule is larger than the previous one by two millimetres.",
    "Clear lungs and a normal mediastinum.",
]


def added(place: Path, body: str) -> list[Path]:
    """Where a package `others` is whose step `added` decides like this."""
    package(place / "site", "others", {"added": "make"}, step_code(body))
    return [place / "site"]


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the example of the documentation is installed, by pip, without a network."""
    if find_spec("pip") is None:
        pytest.skip("pip is not in this environment")
    place = tmp_path_factory.mktemp("example")
    source, target = place / "curate-prior-study", place / "installed"
    source.mkdir()
    for name, text in files_of_the_page().items():
        (source / name).write_text(text, encoding="utf-8")
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--target", str(target)]
    command = [sys.executable, "-m", "pip", "install", *options, str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return target


def test_the_example_of_the_page_installs_and_decides(example: Path, tmp_path: Path) -> None:
    arguments = corpus(tmp_path, ANSWERS, prior_study=None)
    answer = curate_json("build", *arguments, "--out", tmp_path / "run", env=environment(example))
    assert balances(answer)
    assert answer["counts"]["dropped"] == {"prior_study.mentioned": 2}
    assert [step["name"] for step in answer["steps"]][-3:] == ["tokens", "prior_study", "exact"]
    assert verdict_of(tmp_path / "run", "reads", "#r0") == ("drop", "prior_study.mentioned")
    key = "reads.jsonl#r2"
    told = curate_json("why", tmp_path / "run", key)
    assert told["verdicts"][-1]["evidence"] == {"mentions": 1}


def test_the_example_s_settings_come_from_the_recipe_and_set(example: Path, tmp_path: Path) -> None:
    arguments = corpus(tmp_path, ANSWERS, prior_study={"max_mentions": 1})
    first = curate_json("build", *arguments, "--out", tmp_path / "a", packages=[example])
    assert first["counts"]["dropped"] == {"prior_study.mentioned": 1}
    setting = ("--set", "steps.prior_study.max_mentions=2")
    other = curate_json("build", *arguments, "--out", tmp_path / "b", *setting, packages=[example])
    assert other["counts"]["dropped"] == {}
    off = ("--set", "steps.prior_study.enabled=false")
    none = curate_json("build", *arguments, "--out", tmp_path / "c", *off, packages=[example])
    assert "prior_study" not in [step["name"] for step in none["steps"]]


def test_any_number_of_workers_writes_the_same_bytes(example: Path, tmp_path: Path) -> None:
    arguments = corpus(tmp_path, ANSWERS * 2000, prior_study={})
    for workers in (1, 2):
        curate_json("build", *arguments, "--out", tmp_path / str(workers), "--workers", workers, packages=[example])
    assert published(tmp_path / "1") == published(tmp_path / "2")


@pytest.mark.parametrize(
    ("steps", "error"),
    [
        ({"prior_study": {"max_mentions": -1}}, "steps.prior_study.max_mentions: Input should be greater than"),
        ({"prior_study": {"max_mention": 1}}, "steps.prior_study.max_mention: unknown key"),
        ({"prior_study": {"after": "dinner"}}, "steps.prior_study.after: "),
        ({"prior_study": 3}, "steps.prior_study: "),
        ({"prior_studies": {}}, "steps.prior_studies: unknown key"),
        ({"others": {"prior_study": {}}}, "steps.others: unknown key"),
    ],
)
def test_wrong_settings_of_a_step_end_the_command_before_anything_is_read(
    example: Path, tmp_path: Path, steps: dict[str, object], error: str
) -> None:
    arguments = corpus(tmp_path, ANSWERS, **steps)
    answer = curate_json("build", *arguments, "--out", tmp_path / "run", status=2, packages=[example])
    assert error in answer["error"]
    assert not (tmp_path / "run").exists()
    if "prior_studies" in steps:
        assert answer["hint"] == "did you mean 'prior_study'?"


def test_a_step_that_is_not_installed_is_an_unknown_key(tmp_path: Path) -> None:
    answer = curate_json("build", *corpus(tmp_path, ANSWERS, prior_study={}), "--out", tmp_path / "run", status=2)
    assert "steps.prior_study: unknown key" in answer["error"]


def test_doctor_lists_steps_of_others_and_the_ones_that_cannot_be_loaded(example: Path, tmp_path: Path) -> None:
    package(tmp_path / "site", "broken", {"broken_step": "make"}, "import a_library_that_is_not_there\n")
    both = [example, tmp_path / "site"]
    rows = {row["name"]: row for row in curate_json("doctor", packages=both)["steps"]}
    assert rows["prior_study"] == {"name": "prior_study", "distribution": "curate-prior-study", "version": "1.0.0",
                                   "hint": None}  # fmt: skip
    assert "ModuleNotFoundError" in rows["broken_step"]["hint"]
    answer = curate_json(
        "build", *corpus(tmp_path, ANSWERS, broken_step={}), "--out", tmp_path / "run", status=2, packages=both
    )
    assert "step broken_step of broken 1.0: cannot be made (ModuleNotFoundError" in answer["error"]


def test_a_sample_that_a_step_raises_on_is_quarantined_alone_without_its_message(tmp_path: Path) -> None:
    body = "if any('effusion' in text for text in samples['answer'].to_pylist()): raise KeyError('effusion')\n"
    found = added(tmp_path, f"{body}        return all_kept(samples.num_rows)")
    answer = curate_json("build", *corpus(tmp_path, ANSWERS, added={}), "--out", tmp_path / "run", packages=found)
    assert answer["counts"]["quarantined"] == 1
    assert answer["counts"]["kept"] == 3
    assert verdict_of(tmp_path / "run", "reads", "#r1") == ("quarantine", "added.error")
    ledger = pl.read_parquet(tmp_path / "run/tables/ledger/*.parquet").filter(pl.col("reason") == "added.error")
    assert "others.py" in ledger["evidence"][0]
    assert "effusion" not in ledger["evidence"][0]


def test_an_answer_in_the_wrong_form_ends_the_run_and_names_step_and_distribution(tmp_path: Path) -> None:
    found = added(tmp_path, "return all_kept(samples.num_rows + 1)")
    arguments = corpus(tmp_path, ANSWERS, added={})
    answer = curate_json("build", *arguments, "--out", tmp_path / "run", status=1, packages=found)
    assert answer["error"] == "step added of others 1.0: `decide` was given 4 samples and answered 5"
    assert "others" in answer["hint"]


def test_facts_that_a_step_needs_decide_where_it_may_stand(tmp_path: Path) -> None:
    code = step_code("return all_kept(samples.num_rows)").replace('"answer"), ()', '"answer"), ("tokens",)')
    package(tmp_path / "site", "others", {"added": "make"}, code)
    found = [tmp_path / "site"]
    arguments = corpus(tmp_path, ANSWERS, added={"after": "license"})
    answer = curate_json("build", *arguments, "--out", tmp_path / "run", status=2, packages=found)
    assert "it reads tokens, which is not there yet: write `after: tokens`" in answer["error"]
    later = ("--set", "steps.added.after=exact")
    answer = curate_json("build", *arguments, "--out", tmp_path / "run", *later, packages=found)
    assert [step["name"] for step in answer["steps"]][-2:] == ["exact", "added"]


def test_two_packages_with_a_step_of_one_name_are_refused(tmp_path: Path) -> None:
    found = added(tmp_path, "return all_kept(samples.num_rows)")
    package(tmp_path / "site", "rivals", {"added": "make"}, step_code("return None"))
    arguments = corpus(tmp_path, ANSWERS, added={})
    answer = curate_json("build", *arguments, "--out", tmp_path / "run", status=2, packages=found)
    assert "others and rivals both have a step of this name" in answer["error"]


def test_another_version_of_the_distribution_does_its_work_anew(tmp_path: Path) -> None:
    body = """long = facts["lengths"]["length"].to_numpy() > 60
        return decided(np.where(long, "drop", "keep"), np.where(long, "added.long", None))
    def measure(self, samples):
        lengths = [len(text) for text in samples["answer"].to_pylist()]
        return {"lengths": pa.table({"length": pa.array(lengths, pa.int64())})}"""
    code = step_code(body).replace('"answer"), ()', '"answer"), ("lengths",)')
    package(tmp_path / "site", "others", {"added": "make"}, code)
    arguments, found = corpus(tmp_path, ANSWERS, added={}), [tmp_path / "site"]
    first = curate_json("build", *arguments, "--out", tmp_path / "a", packages=found)
    assert first["counts"]["dropped"] == {"added.long": 1}
    package(tmp_path / "site", "others", {"added": "make"}, code.replace("> 60", "< 60"), version="1.1")
    reuse = ("--reuse", tmp_path / "a")
    second = curate_json("build", *arguments, "--out", tmp_path / "b", *reuse, packages=found)
    assert second["counts"]["dropped"] == {"added.long": 3}
    reused = {row["name"]: row["reused"] for row in second["steps"]}
    assert (reused["tokens"], reused["added"]) == (1, 0)


def test_a_comparison_of_another_package_meets_samples_of_all_fragments(tmp_path: Path) -> None:
    code = """
import blake3
import numpy as np
import pyarrow as pa
from dedup.keys import KEYS
from filters.verdicts import decided

class FirstWord:
    name, version, columns = "added", 1, ("sample_id", "answer")
    def parameters(self):
        return {}
    def keys(self, samples, rows, facts):
        firsts = [blake3.blake3(text.split()[0].encode()).digest()[:16] for text in samples["answer"].to_pylist()]
        ids = [bytes.fromhex(name) for name in samples["sample_id"].to_pylist()]
        zeros = pa.array(np.zeros(len(rows)), pa.int32())
        return pa.table([pa.array(firsts, pa.binary(16)), zeros, rows, pa.array(ids, pa.binary(16))], schema=KEYS)
    def decide(self, samples, rows, answers):
        if any("tumour" in text for text in samples["answer"].to_pylist()):
            raise ZeroDivisionError
        follows = np.isin(rows.to_numpy(), answers["row"].to_numpy())
        return decided(np.where(follows, "drop", "keep"), np.where(follows, "added.again", None))
def make(settings):
    return FirstWord()
"""
    package(tmp_path / "site", "others", {"added": "make"}, code)
    answers = [f"word{number % 3000} and then text number {number} of it all" for number in range(9000)]
    arguments = corpus(tmp_path, [*answers, "Only one tumour is seen."], added={})
    for workers in (1, 2):
        options = ("--out", tmp_path / str(workers), "--workers", workers)
        answer = curate_json("build", *arguments, *options, packages=[tmp_path / "site"])
        assert balances(answer)
        assert answer["counts"]["dropped"] == {"added.again": 6000}
        assert answer["counts"]["quarantined"] == 1
    assert published(tmp_path / "1") == published(tmp_path / "2")
