"""What docs/run_directory.md says of reasons and keys is what the ledger and the shards hold."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from pipelines.words import KEPT
from shards.manifest import Manifest
from shards.samples import SampleJson
from sources.schema import Reason, Verdict

PAGE = (Path(__file__).parents[2] / "docs" / "run_directory.md").read_text()
REASONS = re.findall(r"^\| `([a-z]+\.[a-z_]+)` \| ([a-z, ]+) \| ([a-z_, ]+) \| .+ \|$", PAGE, re.MULTILINE)


def test_the_table_of_reasons_has_every_reason_in_its_order() -> None:
    assert [token for token, _, _ in REASONS] == [reason.value for reason in Reason]


def test_the_table_of_reasons_names_verdicts_and_steps_that_there_are() -> None:
    assert {verdict for _, verdicts, _ in REASONS for verdict in verdicts.split(", ")} < set(Verdict)
    assert {step for _, _, steps in REASONS for step in steps.split(", ")} < KEPT.keys()


@pytest.mark.parametrize(("file", "model"), [("{key}.json", SampleJson), ("manifest.json", Manifest)])
def test_the_tables_of_keys_have_every_key(file: str, model: type[BaseModel]) -> None:
    [table] = re.findall(rf"^\| key of `{re.escape(file)}` \| \|\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    cells = re.findall(r"^\| (`[^|]+`) \|", table, re.MULTILINE)
    keys = [key for cell in cells for key in re.findall(r"\w+", cell)]
    assert sorted(keys) == sorted(model.model_fields)
