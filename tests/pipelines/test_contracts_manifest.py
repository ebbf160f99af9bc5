"""The last gate: the manifest as it would be written, against itself and against what the run counted."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from pipelines.contracts.gates import ContractError
from pipelines.engines.local import LocalEngine
from shards.manifest import Manifest, Mixture, ShardEntry, manifest_bytes
from tests.pipelines.contract_flow import Stopped, ingested, notes, recipe_of

pytest.importorskip("great_expectations", reason="contracts need great_expectations")

RUN = {"shards": 2, "counts": {"kept": 5}, "bytes_written": 3072}


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stopped]:
    place = tmp_path_factory.mktemp("manifest")
    engine = LocalEngine(1)
    yield ingested(engine, place, recipe_of(place, {"a": notes(2)}, {}))
    engine.close()


def shard(number: int, samples: int, **changes: Any) -> dict[str, Any]:
    entry = ShardEntry(
        name=f"mid-a-{number:06d}.tar",
        sha256=f"{number:064x}",
        bytes=1024 * (number + 1),
        samples=samples,
        tokens=10 * samples,
        first_key=f"{number:032x}",
        last_key=f"{number + 16:032x}",
    )
    return {**entry.model_dump(), **changes}


def sound() -> dict[str, Any]:
    manifest = Manifest(
        build="b", stage="mid", tokenizer="t", context_tokens=100,
        mixture=Mixture(seed=0, epochs=1, weights={"a": 1.0}), shards=(),
    )  # fmt: skip
    return {**orjson.loads(manifest_bytes(manifest)), "shards": [shard(0, 2), shard(1, 3)]}


def check(stopped: Stopped, manifest: dict[str, Any]) -> None:
    stopped.gates.reports.clear()
    stopped.gates._tokens = 50
    stopped.gates.before_publishing(orjson.dumps(manifest), RUN)


def test_a_manifest_that_adds_up_passes(stopped: Stopped) -> None:
    check(stopped, sound())
    assert stopped.document()["ok"] is True
    assert [gate["gate"] for gate in stopped.document()["gates"]] == ["manifest"]
    assert stopped.document()["gates"][0]["rows"] == 2


def renamed(manifest: dict[str, Any]) -> None:
    manifest["shards"][1]["name"] = manifest["shards"][0]["name"]


def reordered(manifest: dict[str, Any]) -> None:
    manifest["shards"] = [dict(reversed(entry.items())) for entry in manifest["shards"]]


def changed(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(manifest: dict[str, Any]) -> None:
        manifest["shards"][1][key] = value

    return change


@pytest.mark.parametrize(
    ("change", "expectation", "column"),
    [
        (renamed, "values_to_be_unique", "name"),
        (reordered, "expect_table_columns_to_match_ordered_list", None),
        (changed("sha256", "0" * 63), "match_regex", "sha256"),
        (changed("name", "../mid-a.tar"), "match_regex", "name"),
        (changed("samples", 0), "to_be_between", "samples"),
        (changed("samples", 4), "pair_values_to_be_equal", "manifest_samples, run_samples"),
        (changed("tokens", 29), "pair_values_to_be_equal", "manifest_tokens, run_tokens"),
        (changed("bytes", 1024), "pair_values_to_be_equal", "manifest_bytes, run_bytes"),
        (changed("first_key", "0" * 32), "values_to_be_unique", "first_key"),
        (changed("last_key", "not a key"), "match_regex", "last_key"),
        (lambda manifest: manifest["shards"].pop(), "row_count_to_equal", None),
    ],
)
def test_a_manifest_that_is_not_what_the_run_made_is_not_published(
    stopped: Stopped, change: Callable[[dict[str, Any]], None], expectation: str, column: str | None
) -> None:
    manifest = sound()
    change(manifest)
    with pytest.raises(ContractError, match="contract manifest: "):
        check(stopped, manifest)
    failed = [row for row in stopped.document()["gates"][0]["expectations"] if not row["success"]]
    assert any(expectation in row["expectation"] and row["column"] == column for row in failed), failed
    assert stopped.document()["ok"] is False


def test_a_name_that_is_none_is_not_shown(stopped: Stopped) -> None:
    manifest = sound()
    manifest["shards"][1]["name"] = "patient Doe.txt"
    with pytest.raises(ContractError) as raised:
        check(stopped, manifest)
    assert "Doe" not in raised.value.message
    reports: Path = stopped.place / "run" / "reports"
    assert not any(b"Doe" in path.read_bytes() for path in reports.rglob("*") if path.is_file())
