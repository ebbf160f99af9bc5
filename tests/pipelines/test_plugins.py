import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from filters.verdicts import decided
from pipelines.errors import UsageError
from pipelines.graph import graph_of
from pipelines.plugged import PluggedExchange, PluggedFacts, checked
from pipelines.plugins import Made, PluginError, _step
from pipelines.recipe_file import load_recipe
from sources.schema import SAMPLES, Verdict
from tests.end_to_end.other_steps import corpus, package, step_code

MADE = Made("added", "{}", "others", "1.0")
KEPT = "return all_kept(samples.num_rows)"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the path of this process; what is imported from it is forgotten afterwards."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    _forget()
    yield folder
    _forget()


def _forget() -> None:
    for name in ("others", "rivals"):
        sys.modules.pop(name, None)
    _step.cache_clear()


def load(place: Path, **steps: object) -> object:
    recipe = corpus(place, ["An answer."], **steps)[1]
    assert isinstance(recipe, Path)
    return load_recipe(None, recipe, ())


def verdicts(verdict: str, reason: str | None, evidence: str | None = None, rows: int = 2) -> pa.Table:
    return decided(np.full(rows, verdict, object), np.full(rows, reason, object), evidence=[evidence] * rows)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (verdicts("keep", None, rows=3), "`decide` was given 2 samples and answered 3"),
        (verdicts("keep", None, rows=1), "`decide` was given 2 samples and answered 1"),
        (SAMPLES.empty_table(), "`decide` must return a table of VERDICTS"),
        (None, "`decide` must return a table of VERDICTS"),
        (verdicts("drop", "tokens.too_long"), "a reason of `decide` is not `added.` and a token"),
        (verdicts("drop", "added"), "a reason of `decide` is not `added.` and a token"),
        (verdicts("drop", "added.Because of it"), "a reason of `decide` is not `added.` and a token"),
        (verdicts("keep", "other.reason"), "a reason of `decide` is not `added.` and a token"),
        (verdicts("drop", None), "without a reason"),
        (verdicts("edit", "added.cut"), "a verdict of `decide` is none of keep, drop, quarantine"),
        (verdicts("keep", None, "text of a patient"), "evidence must be null or the JSON of an object"),
        (verdicts("keep", None, "[1]"), "evidence must be null or the JSON of an object"),
    ],
)
def test_an_answer_in_the_wrong_form_names_the_step_its_distribution_and_no_content(answer: object, error: str) -> None:
    with pytest.raises(PluginError) as caught:
        checked(MADE, answer, 2)
    assert caught.value.message.startswith("step added of others 1.0: ")
    assert error in caught.value.message
    assert "patient" not in caught.value.message


def test_columns_in_another_order_and_narrower_types_are_taken() -> None:
    table = verdicts("quarantine", "added.doubt", '{"by": 1}')
    answer = table.select(table.column_names[::-1]).append_column("more", pa.array([1, 2]))
    assert checked(MADE, answer, 2).equals(table)
    assert checked(MADE, answer, 2)["verdict"].to_pylist() == [Verdict.QUARANTINE] * 2


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ('"added", 1', '"tokens", 1', "its `name` must be 'added'"),
        ('"added", 1', '"added", "1"', "its `version` must be an int"),
        ('"sample_id", "answer"', '"verdict", "answer"', "its `columns` must be a tuple of columns"),
        ('("sample_id", "answer")', '["answer"]', "its `columns` must be a tuple of columns"),
        ('"answer"), ()', '"answer"), ("links",)', "its `reads` may name images, tokens only"),
        ("return self.settings", "return {1, 2}", "what its `parameters` return must be JSON"),
        ("def decide", "def decides", "it needs the methods"),
        ("def decide", "measure = parameters\n    def decide", "its `reads` name no fact of its own"),
        ("def decide", "measure = keys = parameters\n    def decide", "a step with `keys` has no `measure`"),
        ("return Step(settings)", "raise ValueError('limit is odd')", "steps.added: limit is odd"),
        ("return Step(settings)", "raise KeyError('secret')", "cannot be made (KeyError at others.py:"),
        ("import numpy", "import no_such_library\nimport numpy", "cannot be made (ModuleNotFoundError"),
    ],
)
def test_a_step_that_breaks_the_contract_is_refused_with_the_recipe(
    tmp_path: Path, site: Path, old: str, new: str, error: str
) -> None:
    code = step_code(KEPT)
    assert old in code
    package(site, "others", {"added": "make"}, code.replace(old, new))
    with pytest.raises(UsageError) as caught:
        load(tmp_path, added={})
    assert error in caught.value.message
    assert "secret" not in caught.value.message


def test_two_packages_with_a_step_of_one_name_are_refused(tmp_path: Path, site: Path) -> None:
    for distribution in ("others", "rivals"):
        package(site, distribution, {"added": "make"}, step_code(KEPT))
    with pytest.raises(UsageError, match="others and rivals both have a step of this name"):
        load(tmp_path, added={})


def test_a_step_cannot_take_the_place_of_one_of_ours(tmp_path: Path, site: Path) -> None:
    package(site, "others", {"tokens": "make"}, step_code(KEPT).replace('"added"', '"tokens"'))
    recipe = load(tmp_path)
    assert getattr(recipe, "steps").others is None  # noqa: B009 - the recipe's type is not this test's matter


def test_a_step_stands_after_the_filters_unless_the_recipe_says_where(tmp_path: Path, site: Path) -> None:
    package(site, "others", {"added": "make"}, step_code(KEPT))
    orders = []
    for settings in ({}, {"after": "measure"}, {"after": "exact"}):
        graph = graph_of(load(tmp_path, added=settings))  # type: ignore[arg-type]
        orders.append([step.name for step in graph.steps])
    assert orders == [
        ["measure", "license", "tokens", "added", "exact", "near_text", "near_image"],
        ["measure", "added", "license", "tokens", "exact", "near_text", "near_image"],
        ["measure", "license", "tokens", "exact", "added", "near_text", "near_image"],
    ]


def test_a_place_whose_own_step_is_off_is_still_a_place(tmp_path: Path, site: Path) -> None:
    package(site, "others", {"added": "make"}, step_code(KEPT))
    off = {name: {"enabled": False} for name in ("exact", "license", "near_text", "near_image")}
    graph = graph_of(load(tmp_path, added={"after": "license"}, **off))  # type: ignore[arg-type]
    assert [step.name for step in graph.steps] == ["measure", "added", "tokens"]


def test_fingerprints_tell_settings_versions_and_distributions_apart(tmp_path: Path, site: Path) -> None:
    found = set()
    for version, settings in (("1.0", {}), ("1.0", {"a": 1}), ("1.1", {})):
        package(site, "others", {"added": "make"}, step_code(KEPT), version)
        graph = graph_of(load(tmp_path, added=settings))  # type: ignore[arg-type]
        found.add(graph.fingerprints("ingested")["exact"])
    assert len(found) == 3


def test_a_setting_that_a_step_forgets_among_its_parameters_still_does_its_work_anew(
    tmp_path: Path, site: Path
) -> None:
    facts = f"{KEPT}\n    def measure(self, samples):\n        return {{}}"
    for reads, body in (("()", KEPT), ('("sizes",)', facts)):
        code = (
            step_code(body).replace("return self.settings", "return {}").replace('"answer"), ()', f'"answer"), {reads}')
        )
        package(site, "others", {"added": "make"}, code)
        sys.modules.pop("others", None)
        _step.cache_clear()
        found = []
        for settings in ({"limit": 1}, {"limit": 2}, {"limit": 1}):
            graph = graph_of(load(tmp_path, added=settings))  # type: ignore[arg-type]
            found.append(graph.fingerprints("ingested")["exact"])
        assert found[0] == found[2] != found[1]


def test_a_worker_with_another_version_of_the_distribution_says_so(tmp_path: Path, site: Path) -> None:
    package(site, "others", {"added": "make"}, step_code(KEPT), "2.0")
    with pytest.raises(UsageError, match=r"step added of others 1\.0: on this machine others 2\.0 is installed"):
        _ = MADE.step


def test_facts_are_kept_under_the_step_s_name_and_must_be_one_row_a_sample(tmp_path: Path, site: Path) -> None:
    body = f"{KEPT}\n    def measure(self, samples):\n        return {{'sizes': pa.table({{'n': [1, 2]}})}}"
    code = step_code(body).replace('"answer"), ()', '"answer"), ("sizes", "tokens")')
    package(site, "others", {"added": "make"}, code)
    load(tmp_path, added={})
    facts = PluggedFacts(MADE)
    assert list(facts.measure(pa.table({"sample_id": ["a", "b"]}))) == ["added_sizes"]
    with pytest.raises(PluginError, match="fact sizes must be a table of one row a sample"):
        facts.measure(pa.table({"sample_id": ["a"]}))


def test_keys_of_rows_that_were_not_given_are_refused(tmp_path: Path, site: Path) -> None:
    body = f"{KEPT}\n    def keys(self, samples, rows, facts):\n        from dedup.keys import KEYS\n"
    body += (
        "        key = pa.array([bytes(16)], pa.binary(16))\n        row = pa.array([self.settings['row']], pa.int32())"
    )
    body += "\n        return pa.table([key, pa.array([0], pa.int32()), row, key], schema=KEYS)"
    package(site, "others", {"added": "make"}, step_code(body))
    load(tmp_path, added={"row": 7})
    exchange = PluggedExchange(Made("added", '{"row":7}', "others", "1.0"))
    one = SAMPLES.empty_table()
    assert exchange.keys(one, pa.array([6, 7], pa.int32()), {}).num_rows == 1
    with pytest.raises(PluginError, match="`keys` names rows that it was not given"):
        exchange.keys(one, pa.array([6], pa.int32()), {})
