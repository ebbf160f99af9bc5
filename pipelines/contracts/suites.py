"""The project's own contracts: what must hold at each gate, from the recipe and the cards of its sources."""

from collections.abc import Sequence

from pipelines.contracts.columns import Gate
from pipelines.contracts.flat import ID
from pipelines.contracts.rules import Rule, Severity, rule
from pipelines.recipe import Recipe
from shards.manifest import ShardEntry
from sources.records import Corpus
from sources.schema import ACCESS, MODALITIES, TASKS, UNKNOWN_LICENSE, Verdict

SHA256 = "^[0-9a-f]{64}$"
LICENSE = r"^(unknown|[A-Za-z0-9][A-Za-z0-9.-]*)$"
REASON = r"^[a-z0-9_]+\.[a-z0-9_]+$"
SHARD = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,200}\.tar$"
_KEPT = (Verdict.KEEP.value, Verdict.EDIT.value)
_TOLD = (Verdict.EDIT.value, Verdict.DROP.value, Verdict.QUARANTINE.value)


def suite(gate: Gate, recipe: Recipe, corpora: Sequence[Corpus], expected_rows: int) -> tuple[Rule, ...]:
    """All rules of a gate, the project's own before the user's. `expected_rows`: what the counts of the run say."""
    sources = [corpus.name for corpus in corpora]
    own = {
        Gate.SAMPLES: lambda: [*_samples(sources), *_promises(corpora, "warning", _KEPT)],
        Gate.IMAGES: lambda: _images(recipe, sources),
        Gate.KEPT: lambda: [*_kept(recipe), *_promises(corpora, "critical")],
        Gate.MANIFEST: lambda: _manifest(recipe),
    }[gate]()
    count = rule("table_row_count_to_equal", value=expected_rows, why="the table has what the run counted")
    return (*own, count, *(expectation.rule() for expectation in recipe.contracts.of(gate)))


def _samples(sources: Sequence[str]) -> list[Rule]:
    told = rule("column_values_to_not_be_null", "reason", why="what is not kept as it was has a reason")
    untold = rule("column_values_to_be_null", "reason", why="what is kept as it was has none")
    content = rule("column_values_to_be_between", "turns_and_images", min_value=1, why="a kept record says something")
    return [
        *_ids("sample_id"),
        rule("column_values_to_be_in_set", "source", value_set=list(sources), why="every record is of a source"),
        rule("column_values_to_be_in_set", "task", value_set=list(TASKS), why="shards know these tasks only"),
        rule("column_values_to_be_in_set", "access", value_set=list(ACCESS), why="access decides who may see it"),
        rule("column_values_to_match_regex", "license", regex=LICENSE, why="an SPDX identifier, or unknown"),
        rule("column_values_to_be_in_set", "verdict", value_set=[verdict.value for verdict in Verdict]),
        rule("column_values_to_match_regex", "reason", regex=REASON, why="reasons are stable tokens"),
        Rule(told.expect, told.arguments, verdicts=_TOLD, why=told.why),
        Rule(untold.expect, untold.arguments, verdicts=(Verdict.KEEP.value,), why=untold.why),
        Rule(content.expect, content.arguments, verdicts=_KEPT, why=content.why),
        rule("table_row_count_to_be_between", min_value=1, severity="warning", why="there is something to train on"),
    ]


def _promises(corpora: Sequence[Corpus], severity: Severity, verdicts: tuple[str, ...] = ()) -> list[Rule]:
    """Every kind of group that a card promises is there.

    Told as a warning once the records are read, since filters may drop those without; of what is written it must hold.
    """
    return [
        Rule(
            "expect_column_values_to_be_between",
            {"column": f"group_{kind}", "min_value": 1},
            severity,
            corpus.name,
            verdicts,
            why="the card promises it (`groups`), and samples are kept together or apart by it",
        )
        for corpus in corpora
        for kind in corpus.card.groups
    ]


def _images(recipe: Recipe, sources: Sequence[str]) -> list[Rule]:
    measure = recipe.steps.measure
    hashed = [rule("column_values_to_not_be_null", "pixel_hash", why="exact duplicates are told by it")]
    return [
        *_ids("image_id"),
        rule("column_values_to_be_in_set", "source", value_set=list(sources)),
        *(hashed if measure.pixel_hash else ()),
        rule("column_values_to_be_between", "width", min_value=1),
        rule("column_values_to_be_between", "height", min_value=1),
        rule("column_values_to_be_between", "pixels", max_value=measure.max_pixels, why="nothing larger is decoded"),
        rule("column_values_to_be_between", "bit_depth", min_value=1, max_value=64),
        rule("column_values_to_be_between", "channels", min_value=1, max_value=4),
        rule("column_values_to_be_between", "frames", min_value=1),
        rule("column_values_to_be_between", "bytes", min_value=1),
        *(rule("column_values_to_be_between", name, min_value=0, max_value=255, why="grey levels of 0 to 255")
          for name in ("mean", "std", "minimum", "maximum")),
        rule("column_values_to_be_between", "entropy", min_value=0, max_value=8, why="bits of a 256-bin histogram"),
        rule("column_pair_values_a_to_be_greater_than_b", column_A="maximum", column_B="minimum", or_equal=True),
        rule("column_values_to_be_in_set", "modality", value_set=list(MODALITIES)),
        rule("column_values_to_be_in_set", "modality_from", value_set=["dicom", "card", "none", "model", "text"]),
        rule("column_values_to_match_regex", "flags", regex=r"^[a-z0-9_.,]*$", why="flags are stable tokens"),
    ]  # fmt: skip


def _kept(recipe: Recipe) -> list[Rule]:
    return [
        *_ids("sample_id"),
        rule("column_values_to_be_between", "turns", min_value=1, why="without turns there is nothing to learn"),
        rule("column_values_to_be_between", "images_without_id", max_value=0, why="every picture was measured"),
        rule("column_pair_values_a_to_be_greater_than_b", column_A="tokens", column_B="tokens_min", or_equal=True),
        rule("column_pair_values_a_to_be_greater_than_b", column_A="tokens_max", column_B="tokens", or_equal=True),
        *_terms(recipe),
        rule("table_row_count_to_be_between", min_value=1, severity="warning", why="there is something to train on"),
    ]


def _terms(recipe: Recipe) -> list[Rule]:
    """Access and licence, as far as the recipe limits them."""
    policy = recipe.steps.license
    if not policy.enabled:
        return []
    why = "the recipe allows no other terms"
    forbidden = sorted({*policy.forbidden, *((UNKNOWN_LICENSE,) if policy.unknown == "drop" else ())})
    allowed = rule("column_values_to_be_in_set", "access", value_set=sorted(policy.access), why=why)
    return [
        allowed,
        *([rule("column_values_to_not_be_in_set", "license", value_set=forbidden, why=why)] if forbidden else ()),
    ]


def _manifest(recipe: Recipe) -> list[Rule]:
    return [
        rule("table_columns_to_match_ordered_list", column_list=list(ShardEntry.model_fields),
             why="readers of the manifest rely on its keys"),
        rule("column_values_to_be_unique", "name", why="one name is one file"),
        rule("column_values_to_match_regex", "name", regex=SHARD),
        rule("column_values_to_match_regex", "sha256", regex=SHA256),
        rule("column_values_to_be_between", "bytes", min_value=1),
        rule("column_values_to_be_between", "samples", min_value=1, max_value=recipe.shards.max_samples),
        rule("column_values_to_be_between", "tokens", min_value=0),
        rule("column_values_to_match_regex", "first_key", regex=ID),
        rule("column_values_to_match_regex", "last_key", regex=ID),
        rule("column_values_to_be_unique", "first_key", why="no sample is in two shards"),
        rule("column_values_to_be_unique", "last_key", why="no sample is in two shards"),
    ]  # fmt: skip


TOTALS = tuple(
    rule("column_pair_values_to_be_equal", column_A=f"manifest_{name}", column_B=f"run_{name}", why="counts balance")
    for name in ("shards", "samples", "bytes", "tokens")
)
"""Of the whole manifest: what its shards add up to is what the run counted."""


def _ids(column: str) -> list[Rule]:
    return [
        rule("column_values_to_be_in_set", "id_form", value_set=["hex32"], why=f"{column}: 128 bits as 32 hex digits"),
        rule("column_values_to_be_unique", column, why="one id is one row, in the whole run"),
    ]
