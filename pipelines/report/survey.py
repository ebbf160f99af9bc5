"""One pass over the tables of a run: every count, histogram and example that its pages show.

Fragments are read side by side and one by one forgotten, so memory does not grow with the samples; with the pictures
it grows by 19 bytes each.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from pipelines.errors import ConservationError
from pipelines.report.parts import TableParts, read_columns
from pipelines.report.pictures import Pictures
from pipelines.work import Work, key_of
from shards.names import picture_suffix
from sources.schema import MODALITIES, Verdict
from sources.storage import Folder

NODE = "survey"
VERSION = 2
READERS = 4
"""Parts read at the same time: on a disk the reading is bound by decoding, in a bucket by waiting."""
KEPT, DROPPED, QUARANTINED = "kept", "dropped", "quarantined"
OUTCOMES = (KEPT, DROPPED, QUARANTINED)
DIMENSIONS = ("source", "task", "license", "access", "modality", "language")
NOT_STATED = "not stated"
NO_CODE = "no language code"
"""What stands for any other text: a field that was mapped by mistake may hold anything, names of people too."""
LANGUAGE_CODE = "^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8}){0,3}$"
NO_PICTURE = "no picture"
SEVERAL = "several"
EXAMPLES = 12
"""Of one reason and source: more than any page shows."""
EDGES = np.array([0, 1, *(math.ceil(2 ** (half / 2)) for half in range(2, 64))], np.int64)
"""Lower ends of histogram bins, two an octave: 0, 1, 2, 3, 4, 6, 8, 12, 16, 23, 32, 46, 64 ..."""
SAMPLE_COLUMNS = ("sample_id", "source", "task", "license", "access", "language", "images")
LEDGER_COLUMNS = ("sample_id", "step", "verdict", "reason", "score")


class Example(NamedTuple):
    """A sample that a page may show, the fragment it is of, and its first picture with the fragment that has it."""

    reason: str
    """Empty where it was kept."""
    source: str
    sample_id: str
    task: str
    part: int
    pictures: int
    image_id: str | None
    image_part: int


@dataclass
class Survey:
    """What a run holds, in numbers. Plain values only: it is kept as JSON.

    `groups`: dimension -> value -> samples kept, dropped, quarantined, and tokens of the kept.
    `losses`: [reason, step, outcome, source, samples]. `terms`: [source, license, access, kept samples].
    `tokens` and `sides` (smaller side of each distinct picture, in pixels): bin -> kept, lost. `members`: every
    suffix that pictures have in the shards. `examples`: the smallest sample ids of every reason and source.
    """

    groups: dict[str, dict[str, list[int]]] = field(default_factory=lambda: {name: {} for name in DIMENSIONS})
    losses: list[tuple[str, str, str, str, int]] = field(default_factory=list)
    terms: list[tuple[str, str, str, int]] = field(default_factory=list)
    tokens: dict[str, list[int]] = field(default_factory=dict)
    sides: dict[str, list[int]] = field(default_factory=dict)
    members: list[str] = field(default_factory=list)
    examples: list[Example] = field(default_factory=list)
    told_by: dict[str, int] = field(default_factory=dict)
    """What told the modality of distinct pictures, and of how many."""

    def total(self, outcome: str) -> int:
        """Samples with an outcome."""
        place = OUTCOMES.index(outcome)
        return sum(row[place] for row in self.groups["source"].values())

    @property
    def kept_tokens(self) -> int:
        """Tokens of all kept samples."""
        return sum(row[3] for row in self.groups["source"].values())


def committed_survey(work: Work, fingerprint: str, parts: Sequence[TableParts]) -> Survey:
    """The survey of the build with this fingerprint, made once: one that changes nothing finds it again."""
    key = key_of(NODE, VERSION, fingerprint)
    found = work.find(NODE, key)
    if found is None:
        survey = surveyed(work.folder, parts)
        facts = asdict(survey) | {"examples": [list(example) for example in survey.examples]}
        found = work.commit(NODE, key, {}, facts)
    rows = {name: [tuple(row) for row in found.facts[name]] for name in ("losses", "terms")}
    return Survey(**dict(found.facts) | rows | {"examples": [Example(*row) for row in found.facts["examples"]]})


def check_survey(run: Mapping[str, Any], survey: Survey) -> None:
    """Whether the tables hold what the steps counted.

    Raises:
        ConservationError: they do not.
    """
    counts = run["counts"]
    said = (counts["kept"], sum(counts["dropped"].values()), counts["quarantined"])
    found = tuple(survey.total(outcome) for outcome in OUTCOMES)
    if said != found:
        raise ConservationError(f"the steps counted {said} samples kept, dropped, quarantined; the tables hold {found}")


def surveyed(run: Folder, parts: Sequence[TableParts]) -> Survey:
    """Read the tables once and count."""
    with ThreadPoolExecutor(READERS) as pool:
        pictures = Pictures(run, parts, pool.map)

        def counted(item: tuple[int, TableParts]) -> "_Counts":
            number, part = item
            samples = read_columns(run, part.samples, SAMPLE_COLUMNS)
            return _counted(number, samples, read_columns(run, part.ledger, LEDGER_COLUMNS), pictures)

        whole = _merged(pool.map(counted, enumerate(parts)), pictures)
    whole.told_by = pictures.told_by()
    whole.sides = _histogram(pictures.rows["side"], pictures.rows["kept"])
    return whole


@dataclass
class _Counts:
    """What one fragment adds."""

    groups: dict[str, pl.DataFrame]
    losses: pl.DataFrame
    terms: pl.DataFrame
    tokens: dict[str, list[int]]
    kept_pictures: npt.NDArray[np.int64]
    members: frozenset[str]
    examples: list[Example]


def _counted(number: int, samples: pl.DataFrame, ledger: pl.DataFrame, pictures: Pictures) -> _Counts:
    modalities, members = _with_pictures(samples, pictures)
    rows = _with_outcomes(samples.drop("images"), ledger).hstack(modalities)
    kept = rows["outcome"] == KEPT
    count = pl.len().alias("samples")
    tokens = pl.col("tokens").filter(pl.col("outcome") == KEPT).sum().cast(pl.Int64).alias("kept_tokens")
    lost = rows.filter(~kept)
    known = rows.filter(pl.col("tokens").is_not_null())
    kept_rows = set(np.flatnonzero(kept.to_numpy()).tolist())
    return _Counts(
        groups={name: rows.group_by(name, "outcome").agg(count, tokens) for name in DIMENSIONS},
        losses=lost.group_by("reason", "step", "outcome", "source").agg(count),
        terms=rows.filter(kept).group_by("source", "license", "access").agg(count),
        tokens=_histogram(known["tokens"].cast(pl.Int64).to_numpy(), (known["outcome"] == KEPT).to_numpy()),
        kept_pictures=members.filter(pl.col("row").is_in(kept_rows))["place"].to_numpy(),
        members=_suffixes(members.filter(pl.col("row").is_in(kept_rows)), pictures),
        examples=_examples(number, rows, members, pictures),
    )


def _examples(number: int, rows: pl.DataFrame, members: pl.DataFrame, pictures: Pictures) -> list[Example]:
    """The first few of every reason and source, each with its first picture that decodes."""
    first = members.group_by("row").agg(pl.col("image_id", "place").first())
    chosen = rows.with_row_index("row").sort("sample_id")
    chosen = chosen.group_by("reason", "source", maintain_order=True).head(EXAMPLES)
    chosen = chosen.join(first, on="row", how="left", maintain_order="left")
    columns = ("reason", "source", "sample_id", "task", "pictures", "image_id", "place")
    parts = pictures.rows["part"]
    return [
        Example(reason, source, sample_id, task, number, shown, image, 0 if place is None else int(parts[place]))
        for reason, source, sample_id, task, shown, image, place in chosen.select(columns).iter_rows()
    ]


def _with_outcomes(samples: pl.DataFrame, ledger: pl.DataFrame) -> pl.DataFrame:
    """The samples with what became of them: `outcome`, `reason` ("" of the kept), `step`, `tokens` if counted."""
    last = ledger.group_by("sample_id", maintain_order=True).agg(
        pl.col("step", "verdict", "reason").last(),
        pl.col("score").filter(pl.col("step") == "tokens").last().alias("tokens"),
    )
    outcome = (
        pl.when(pl.col("verdict") == Verdict.DROP)
        .then(pl.lit(DROPPED))
        .when(pl.col("verdict") == Verdict.QUARANTINE)
        .then(pl.lit(QUARANTINED))
        .otherwise(pl.lit(KEPT))
    )
    language = (
        pl.when(pl.col("language").is_null())
        .then(pl.lit(NOT_STATED))
        .when(pl.col("language").str.contains(LANGUAGE_CODE))
        .then(pl.col("language"))
        .otherwise(pl.lit(NO_CODE))
    )
    joined = samples.join(last, on="sample_id", how="left", maintain_order="left").with_columns(
        outcome.alias("outcome"), language.alias("language")
    )
    reason = pl.when(pl.col("outcome") == KEPT).then(pl.lit("")).otherwise(pl.col("reason"))
    return joined.with_columns(reason.alias("reason"))


def _with_pictures(samples: pl.DataFrame, pictures: Pictures) -> tuple[pl.DataFrame, pl.DataFrame]:
    """`modality` and number of `pictures` of each sample, and a row for each picture it shows.

    These rows have `row, count, position, place, image_id`; pictures that did not decode have none.
    """
    ids = pl.col("images").list.eval(pl.element().struct.field("image_id")).alias("image_id")
    numbered = samples.select(ids, count=pl.col("images").list.len()).with_row_index("row")
    shown = numbered.filter(pl.col("count") > 0).explode("image_id")
    shown = shown.with_columns(
        position=pl.int_range(pl.len()).over("row"), place=pl.Series(pictures.places(shown["image_id"]), dtype=pl.Int64)
    ).filter(pl.col("place") >= 0)
    codes = pl.Series(pictures.rows["modality"][shown["place"].to_numpy()], dtype=pl.UInt8)
    by_row = shown.select("row", code=codes).group_by("row").agg(low=pl.col("code").min(), high=pl.col("code").max())
    name = pl.col("low").replace_strict(dict(enumerate(MODALITIES)), return_dtype=pl.String)
    modality = (
        pl.when(pl.col("count").fill_null(0) == 0)
        .then(pl.lit(NO_PICTURE))
        .when(pl.col("low").is_null())
        .then(pl.lit("unknown"))
        .when(pl.col("low") != pl.col("high"))
        .then(pl.lit(SEVERAL))
        .otherwise(name)
    )
    joined = numbered.join(by_row, on="row", how="left", maintain_order="left")
    counted = pl.col("count").fill_null(0).cast(pl.Int64)
    return joined.select(modality=modality, pictures=counted), shown


def _suffixes(members: pl.DataFrame, pictures: Pictures) -> frozenset[str]:
    png = pl.Series(pictures.rows["png"][members["place"].to_numpy()])
    distinct = members.select("position", pl.col("count") == 1, png=png).unique()
    return frozenset(
        picture_suffix(position, 1 if single else 2, "png" if is_png else "jpg")
        for position, single, is_png in distinct.iter_rows()
    )


def _histogram(values: npt.NDArray[Any], kept: npt.NDArray[np.bool_]) -> dict[str, list[int]]:
    """Lower end of a bin -> how many kept, how many lost; empty bins are left out."""
    bins = np.searchsorted(EDGES, values, side="right") - 1
    counts = np.stack(
        [np.bincount(bins[kept], minlength=len(EDGES)), np.bincount(bins[~kept], minlength=len(EDGES))], axis=1
    )
    return {str(EDGES[place]): counts[place].tolist() for place in np.flatnonzero(counts.sum(axis=1))}


def _merged(counts: Iterable[_Counts], pictures: Pictures) -> Survey:
    """Add the fragments up, in their order."""
    whole = Survey()
    losses: Counter[tuple[str, str, str, str]] = Counter()
    terms: Counter[tuple[str, str, str]] = Counter()
    members: set[str] = set()
    examples: dict[tuple[str, str], list[Example]] = {}
    for part in counts:
        for name, frame in part.groups.items():
            for value, outcome, samples, tokens in frame.iter_rows():
                row = whole.groups[name].setdefault(value, [0, 0, 0, 0])
                row[OUTCOMES.index(outcome)] += samples
                row[3] += tokens
        losses.update({row[:4]: row[4] for row in part.losses.iter_rows()})
        terms.update({row[:3]: row[3] for row in part.terms.iter_rows()})
        for edge, (kept, lost) in part.tokens.items():
            before = whole.tokens.setdefault(edge, [0, 0])
            before[0], before[1] = before[0] + kept, before[1] + lost
        pictures.keep(part.kept_pictures)
        members |= part.members
        for example in part.examples:
            examples.setdefault((example.reason, example.source), []).append(example)
        examples = {key: sorted(found, key=_by_id)[:EXAMPLES] for key, found in examples.items()}
    whole.losses = [(*key, number) for key, number in sorted(losses.items())]
    whole.terms = [(*key, number) for key, number in sorted(terms.items())]
    whole.groups = {name: dict(sorted(rows.items())) for name, rows in whole.groups.items()}
    whole.members = sorted(members, key=_member_order)
    whole.examples = [example for key in sorted(examples) for example in examples[key]]
    return whole


def _by_id(example: Example) -> str:
    return example.sample_id


def _member_order(suffix: str) -> tuple[int, str]:
    """Single pictures first, then by position."""
    position, _, extension = suffix.rpartition(".")
    return (int(position) if position else -1, extension)
