"""Fact units: what is computed once and decided from many times (pictures, token counts)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.bisect import Failure, Piece, bisect
from pipelines.isolation import isolated
from pipelines.session import Located, Session, locate
from pipelines.steps import FactStep, PictureStep, own_fingerprint
from pipelines.view import ERRORS, View, aligned, alive_rows, numbered, read_samples, required
from pipelines.work import Commit, Work, key_of
from sources.schema import IMAGES, SAMPLES

LOOKUPS = frozenset({"images"})
"""Facts that are looked up by an id of their own; all others have one row per sample."""


@dataclass(frozen=True)
class FactTask:
    """Computes the facts of one fragment. `attempt` counts the workers it has killed."""

    step: FactStep
    view: View
    number: int
    attempt: int = 0

    @property
    def label(self) -> str:
        """Step and fragment."""
        return f"{self.step.name} {self.number}"

    def run(self, session: Session) -> Commit:
        """Commit the facts, with the numbers of their samples, and `{step}_errors` for the ones that failed."""
        work, view = session.work, self.view
        key = key_of(own_fingerprint(self.step), view.digests(self.step.columns))
        found = work.find(self.step.name, key)
        if found is not None:
            return found
        rows = alive_rows(work, view)
        samples = read_samples(work, view, rows, self.step.columns)
        measure = partial(_measured, self.step, samples)
        pieces = list(bisect(isolated(measure, self.attempt, self.step), len(rows)))
        if all(isinstance(piece.result, Failure) for piece in pieces):
            pieces.append(Piece(len(rows), len(rows), measure(len(rows), len(rows))))  # the tables, without rows
        tables = {name: numbered(_succeeded(pieces, rows), table) for name, table in _joined(pieces).items()}
        return work.put(self.step.name, key, {**tables, f"{self.step.name}_errors": errors_of(pieces, rows)})

    def again(self) -> "FactTask":
        """The task after it killed a worker."""
        return replace(self, attempt=self.attempt + 1)


@dataclass(frozen=True)
class PictureTask:
    """Reads and measures the pictures of one fragment."""

    step: PictureStep
    view: View
    number: int
    attempt: int = 0

    @property
    def label(self) -> str:
        """Step and fragment."""
        return f"{self.step.name} {self.number}"

    def run(self, session: Session) -> Commit:
        """Commit `images`, `links`, `made` and `pictures_errors`.

        The key covers size and time of every picture file, so that one that was repaired is read again.
        """
        work, view = session.work, self.view
        rows, samples = self._with_pictures(work, view)
        located = locate(session, view.corpus, view.fragment, self.attempt)
        uris = sorted({image["uri"] for images in samples["images"].to_pylist() for image in images or ()})
        card = located.corpus.card
        signature = located.signature(uris)
        private = session.recipe.steps.phi.looks_at(located.corpus)
        key = key_of(
            own_fingerprint(self.step), card.modality, view.digests(self.step.columns), signature, *_shown(private)
        )
        found = work.find(self.step.name, key)
        if found is not None:
            return found
        sizes = {uri: size for uri, size, _ in signature if isinstance(size, int)}
        measure = partial(_measured_pictures, self.step, samples, located, sizes, private)
        pieces = list(bisect(isolated(measure, self.attempt, self.step), len(rows)))
        return work.put(self.step.name, key, _picture_tables(pieces, rows, view), {"rows": len(rows)})

    def _with_pictures(self, work: Work, view: View) -> tuple[npt.NDArray[np.int32], pa.Table]:
        """The samples that name a picture, and their row numbers: the others have nothing to measure."""
        alive = alive_rows(work, view)
        images = read_samples(work, view, alive, ("images",))["images"]
        rows = alive[pc.fill_null(pc.list_value_length(images), 0).to_numpy() > 0]
        columns = self.step.columns
        return rows, read_samples(work, view, rows, columns) if len(rows) else SAMPLES.empty_table().select(columns)

    def again(self) -> "PictureTask":
        """The task after it killed a worker."""
        return replace(self, attempt=self.attempt + 1)


def _measured(step: FactStep, samples: pa.Table, start: int, stop: int) -> dict[str, pa.Table]:
    return step.measure(samples.slice(start, stop - start))


def _measured_pictures(
    step: PictureStep,
    samples: pa.Table,
    located: Located,
    sizes: Mapping[str, int],
    private: bool,  # noqa: FBT001 - a fact about the source
    start: int,
    stop: int,
) -> dict[str, pa.Table]:
    """Of a private source no thumbnail is kept: large writing can be read on one, and so could be what is masked."""
    some = samples.slice(start, stop - start)
    named = dict.fromkeys(image["uri"] for images in some["images"].to_pylist() for image in images or ())
    if named:
        step.load()
    with located.opening([(uri, sizes.get(uri, 0)) for uri in named]) as open_image:
        tables = step.measure(some, open_image, located.corpus.card.modality)
    if private:
        index = tables["images"].schema.get_field_index("thumbnail")
        field = tables["images"].schema.field(index)
        nothing = pa.nulls(tables["images"].num_rows, field.type)
        tables["images"] = tables["images"].set_column(index, field, nothing)
    return tables


def _shown(private: bool) -> tuple[str, ...]:  # noqa: FBT001 - a fact about the source
    """What a key says of it."""
    return ("no thumbnails",) if private else ()


def read_facts(
    session: Session, view: View, names: Iterable[str], rows: npt.NDArray[np.int32]
) -> Mapping[str, pa.Table]:
    """Facts as a step wants them: lookups whole, the others aligned with the samples of `rows`."""
    facts = {}
    for name in names:
        table = session.work.read(view.parts[name])
        facts[name] = table if name in LOOKUPS else _of_samples(table, rows, name)
    return facts


def _of_samples(table: pa.Table, rows: npt.NDArray[np.int32], name: str) -> pa.Table:
    """Samples without pictures have no links; any other fact every sample must have."""
    return aligned(table, rows) if name == "links" else required(table, rows, name)


def errors_of(pieces: list[Piece[Any]], rows: npt.NDArray[np.int32]) -> pa.Table:
    """ERRORS of the pieces that failed."""
    failed = [(int(rows[piece.start]), piece.result.evidence) for piece in pieces if isinstance(piece.result, Failure)]
    return pa.table([[row for row, _ in failed], [evidence for _, evidence in failed]], schema=ERRORS)


def _succeeded(pieces: list[Piece[Any]], rows: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    spans = [rows[piece.start : piece.stop] for piece in pieces if not isinstance(piece.result, Failure)]
    return np.concatenate(spans) if spans else rows[:0]


def _joined(pieces: list[Piece[dict[str, pa.Table]]]) -> dict[str, pa.Table]:
    results = [piece.result for piece in pieces if not isinstance(piece.result, Failure)]
    names = results[0] if results else {}
    return {name: pa.concat_tables([result[name] for result in results]) for name in names}


def _picture_tables(
    pieces: list[Piece[dict[str, pa.Table]]], rows: npt.NDArray[np.int32], view: View
) -> dict[str, pa.Table]:
    """Join the pieces: each picture once, links by row number, made samples numbered after the ingested ones."""
    good = [piece for piece in pieces if not isinstance(piece.result, Failure)]
    results = [piece.result for piece in good if not isinstance(piece.result, Failure)]
    ingested = sum(part.rows for part in view.samples)
    links, made_links = [], []
    for piece, result in zip(good, results, strict=True):
        given = piece.stop - piece.start
        links.append(result["links"].slice(0, given))
        made_links.append(result["links"].slice(given))
    made = pa.concat_tables([result["made"] for result in results]) if results else SAMPLES.empty_table()
    numbers = np.concatenate([_succeeded(pieces, rows), np.arange(ingested, ingested + made.num_rows, dtype=np.int32)])
    return {
        "images": _distinct(pa.concat_tables([result["images"] for result in results])) if results else _no_images(),
        "links": numbered(numbers, pa.concat_tables(links + made_links)) if results else _no_links(),
        "made": made,
        "pictures_errors": errors_of(pieces, rows),
    }


def _distinct(images: pa.Table) -> pa.Table:
    ids = images["image_id"].to_pylist()
    first = list({image_id: number for number, image_id in reversed(list(enumerate(ids)))}.values())
    return images.take(pa.array(sorted(first), pa.int32()))


def _no_images() -> pa.Table:
    return IMAGES.empty_table()


def _no_links() -> pa.Table:
    from filters.measure import LINKS

    return numbered(np.empty(0, np.int32), LINKS.empty_table())
