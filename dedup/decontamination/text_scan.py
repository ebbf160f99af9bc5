"""Searches samples for the texts of eval items, as they stand or with small edits, and in other words."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from dedup.decontamination.grades import STRENGTH, Grade
from dedup.decontamination.paraphrase import reworded
from dedup.decontamination.text_document import Documents
from dedup.decontamination.text_index import QUESTION, ROLES, TextIndex, chunks_of, read_pieces
from dedup.decontamination.text_match import Match, matched
from dedup.decontamination.text_pieces import FIELDS, pieces_of
from dedup.decontamination.text_search import Search, search_of
from dedup.decontamination.text_settings import TEXT_HITS
from dedup.kernels.eval_search import Limits, search_documents
from dedup.kernels.weighted_alignment import align_all

COLUMNS = ("turns", *FIELDS, "images", "groups")
"""Columns of SAMPLES that a scan reads; all but `turns` may be absent."""
LEAST_SCORE = 0.6
"""Share of a text's weight below which no rule applies (the lowest threshold, less what the answer takes off)."""
LONE_SHARE = 0.4
"""Share of a text's weight of grams that one gram must have to nominate it alone."""
MOST_EVIDENCE = 64
"""Hits of one sample that are given with their evidence, the strongest; a sample may quote a whole benchmark, and each
of its items is counted."""


def scan_texts(index: TextIndex, samples: pa.Table) -> pa.Table:
    """TEXT_HITS of SAMPLES.

    Raises:
        ValueError: a sample of more than 16 million tokens; what is too long together is taken apart.
    """
    prepared = search_of(index)
    rows: list[dict[str, Any]] = []
    before = 0
    for chunk in chunks_of(samples.select([name for name in COLUMNS if name in samples.column_names])):
        for row, matches in _matches(index, prepared, chunk):
            rows.extend({"row": before + row, **hit} for hit in _hits(index, prepared, matches))
        before += chunk.num_rows
    return pa.Table.from_pylist(rows, schema=TEXT_HITS)


def _matches(index: TextIndex, prepared: Search, samples: pa.Table) -> Iterator[tuple[int, list[Match]]]:
    """Of each sample in which something was found, the strongest match of each eval text."""
    pieces = pieces_of(samples)
    documents = Documents.of(samples, index, pieces, *read_pieces(index, pieces))
    best: dict[int, dict[int, Match]] = {}
    for match in _written(index, prepared, documents):
        _keep(best.setdefault(match.document, {}), match)
    if index.settings.paraphrase:
        for match in reworded(index, prepared, documents):
            _keep(best.setdefault(match.document, {}), match)
    for row in sorted(best):
        kept = [match for match in best[row].values() if match.counts(documents.document(row))]
        if kept:
            yield row, kept


def _keep(best: dict[int, Match], match: Match) -> None:
    other = best.get(match.text)
    if other is None or _rank(match) < _rank(other):
        best[match.text] = match


def _rank(match: Match) -> tuple[bool, int, float]:
    # A text that is no evidence alone is sought beside each of its places: the one with its answer tells.
    unanswered = not match.alone and not any(answer for _, answer in match.items)
    # What a guard told apart is not the same question in other words, unless its answer is there ("except", "not").
    if match.grade is Grade.TEMPLATE_SIBLING:
        return unanswered, STRENGTH.index(Grade.PARAPHRASE), 0.0
    unconfirmed = match.grade is Grade.PARAPHRASE and not match.evidence["answer"]
    return unanswered, STRENGTH.index(match.grade), 1.0 - match.score if unconfirmed else -match.score


def _written(index: TextIndex, prepared: Search, documents: Documents) -> Iterator[Match]:
    """Matches of texts as they stand or with small edits."""
    settings, tokens = index.settings, documents.tokens
    limits = Limits(settings.short_tokens, settings.nominate, settings.run_tokens, LONE_SHARE)
    candidates = search_documents(tokens.words, documents.starts, prepared.grams, prepared.texts, limits)
    candidates = np.concatenate([candidates, _whole_pieces(index, documents)])
    lengths = np.diff(index.starts)[candidates[:, 1]]
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    places, scores = np.empty(int(offsets[-1]), np.int64), np.empty(len(candidates))
    align_all(
        tokens.words, index.words, index.starts, prepared.texts.weights, candidates, places, offsets, scores
    )  # fmt: skip
    long_run = candidates[:, 2] >= settings.run_tokens
    for number in np.flatnonzero((scores >= LEAST_SCORE) | long_run):
        document, text, run, own_place, place = candidates[number, :5].tolist()
        own = places[offsets[number] : offsets[number + 1]]
        if scores[number] < 0:  # too long to be aligned: the longest run stands for all
            own[own_place : own_place + run] = np.arange(place, place + run)
        match = matched(index, prepared, documents.document(document), text, own, float(scores[number]), run)
        if match is not None:
            yield match


def _whole_pieces(index: TextIndex, documents: Documents) -> npt.NDArray[np.int64]:
    """Candidates of texts of one or two tokens: a piece of a sample must be nothing else."""
    lengths = np.diff(index.starts)
    texts = {
        tuple(index.words[index.starts[text] : index.starts[text + 1]].tolist()): int(text)
        for text in np.flatnonzero((lengths < 3) & (index.roles == QUESTION))
    }
    bounds, rows = documents.tokens.texts, []
    for piece in np.flatnonzero((np.diff(bounds) < 3) & (np.diff(bounds) > 0)) if texts else ():
        low, high = int(bounds[piece]), int(bounds[piece + 1])
        text = texts.get(tuple(documents.tokens.words[low:high].tolist()))
        if text is not None:
            document = int(np.searchsorted(documents.pieces.documents, piece, side="right")) - 1
            rows.append((document, text, high - low, 0, low, low, high))
    return np.array(rows, np.int64).reshape(-1, 7)


def _hits(index: TextIndex, prepared: Search, matches: list[Match]) -> list[dict[str, Any]]:
    """TEXT_HITS of one sample, without its row: one for each item, the strongest, sorted by item."""
    best: dict[int, tuple[tuple[int, float], Match, bool]] = {}
    for match in matches:
        for item, answer in match.items:
            rank = STRENGTH.index(match.grade), -match.score
            if item not in best or rank < best[item][0]:
                best[item] = rank, match, answer
    strongest = set(sorted(best, key=lambda item: (best[item][0], item))[:MOST_EVIDENCE])
    hits = []
    for item in sorted(best):
        _, match, answer = best[item]
        evidence = orjson.dumps(match.evidence).decode() if item in strongest else "{}"
        hits.append({"item": item, "answer": answer, **_hit(index, prepared, match), "evidence": evidence})
    return hits


def _hit(index: TextIndex, prepared: Search, match: Match) -> dict[str, Any]:
    """The columns of TEXT_HITS that a match has for all of its items."""
    return {
        "grade": match.grade.value,
        "score": round(match.score, 6),
        "alone": not prepared.generic[match.text],
        "question": index.roles[match.text] == QUESTION and match.grade is not Grade.PASSAGE_SHARED,
        "field": match.field,
        "span_start": match.span[0],
        "span_stop": match.span[1],
        "item_field": ROLES[index.roles[match.text]],
        "item_start": match.item_span[0],
        "item_stop": match.item_span[1],
    }
