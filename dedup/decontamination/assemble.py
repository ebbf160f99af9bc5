"""From what the channels found to findings.

Picture and text of one sample belong together; a group counts where nothing of the content was found.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from dedup.decontamination.findings import FINDINGS, Channel, finding_id
from dedup.decontamination.grades import STRENGTH, Grade

LISTED = 100
"""Findings that are listed of one eval item and channel; how many there are in all is in the evidence."""
LONG_WORDS = 22
"""Words of a question about a picture that says something without the picture.

Of VQA-RAD 81 test questions are asked of other pictures in its training part, word for word with up to 10 words, and
more in other words; those of SLAKE, with their answers, with up to 21; cases like those of MedXpertQA MM have 70
(median)."""
REWORDED_WORDS = 13
"""Words of a question that in other words says something without its answer.

Sentences that name one rare disease are as near to questions of up to 11 words about it as their rewordings are
(ChatDoctor, MedQuAD and Indiana's reports against MedMCQA and MMLU)."""
OF_PICTURE = ("question", "answer")
"""Item fields that are about the picture: a gold answer, too, is that of many pictures."""
FOUND = pa.schema(
    [
        pa.field("row", pa.int32(), nullable=False),
        pa.field("item", pa.int32(), nullable=False),
        pa.field("channel", pa.string(), nullable=False),
        pa.field("grade", pa.string(), nullable=False),
        pa.field("score", pa.float64()),
        pa.field("transform", pa.string()),
        pa.field("evidence", pa.string()),
    ]
)
"""What was found of an eval item (its number) in a sample (its row), each sample, item and channel once."""
TALLY = pa.schema(
    [
        pa.field("item", pa.int32(), nullable=False),
        pa.field("channel", pa.string(), nullable=False),
        pa.field("grade", pa.string(), nullable=False),
        pa.field("samples", pa.int64(), nullable=False),
    ]
)
"""In how many samples an item was found, by channel and grade: of those, too, that are not listed."""

RANK: Mapping[str, int] = {grade.value: number for number, grade in enumerate(STRENGTH)}
"""Grade -> its place in the order of strength; the strongest is 0."""
_OF_CONTENT = RANK[Grade.PARAPHRASE]
"""The weakest grade that says the question itself is there."""
_OF_TEXT = ("field", "span_start", "span_stop", "item_field", "item_start", "item_stop")

Hit = Mapping[str, Any]
Numbers = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Wordings:
    """Of each item: how many words its question has, and whether it has a picture."""

    words: npt.NDArray[Any]
    pictured: npt.NDArray[np.bool_]


def assembled(
    images: Sequence[Sequence[str]],
    text_hits: pa.Table,
    picture_hits: pa.Table,
    pictures: pa.Table,
    groups: pa.Table,
    alike: Numbers,
    wordings: Wordings,
) -> pa.Table:
    """FOUND in the samples of a fragment, by row, item and channel.

    `images`: the ids of each sample's pictures; `text_hits`: TEXT_HITS; `picture_hits`: PICTURE_HITS of these ids, or
    of more; `pictures`: EVAL_PICTURES; `groups`: GROUP_HITS; `alike`: the item under which hits of each
    item's question are given, another where many have it (`TextIndex.alike`): such a hit counts for those of them whose
    picture or group the sample has; `wordings`: what the items' questions say.

    The grade of a `pair` is the stronger of its two sides'. Text that is no evidence alone counts with its answer, its
    picture or its group; a short question about a picture with one of the latter two only, and a short one in other
    words not without its answer.
    """
    shown = _by_pair(_picture_pairs(images, picture_hits, pictures))
    read = _by_pair((hit["row"], hit["item"], hit) for hit in text_hits.to_pylist())
    pairs = _group_pairs(groups)
    same = set(_codes(*pairs[:2]).tolist())
    read = _spread(read, alike, {*(row << 32 | item for row, item in shown), *same})
    found = []
    for row, item in sorted(shown.keys() | read.keys()):
        supported = (row << 32 | item) in same
        texts = [
            hit
            for hit in read.get((row, item), ())
            if supported or (row, item) in shown or _stands(hit, item, wordings)
        ]
        found += _of_pair(row, item, shown.get((row, item), ()), texts)
    return _with_groups(pa.Table.from_pylist(found, schema=FOUND), groups, pairs)


def best_by_grade(found: pa.Table) -> pa.Table:
    """Of each row and grade the best finding (best score, then smallest item): FOUND, by row, the strongest first."""
    order = _order(found, ("row",))
    keys = [found[name].take(pa.array(order)).to_pylist() for name in ("row", "grade")]
    first: dict[tuple[int, str], int] = {}
    for place, key in zip(order.tolist(), zip(*keys, strict=True), strict=True):
        first.setdefault(key, place)
    return found.take(pa.array(list(first.values()), pa.int64()))


def tally(found: pa.Table) -> pa.Table:
    """TALLY, by item, channel and strength."""
    keys = zip(*(found[name].to_pylist() for name in ("item", "channel", "grade")), strict=True)
    return _as_tally(Counter(keys))


def summed(tallies: Iterable[pa.Table]) -> pa.Table:
    """The TALLY of several fragments together."""
    counts: dict[tuple[int, str, str], int] = {}
    for part in tallies:
        for row in part.to_pylist():
            key = row["item"], row["channel"], row["grade"]
            counts[key] = counts.get(key, 0) + row["samples"]
    return _as_tally(counts)


def listed(found: pa.Table, items: pa.Table, ids: pa.ChunkedArray, source: str) -> pa.Table:
    """FINDINGS with the number of the item as their last column: the strongest 100 of each item and channel.

    `items`: ITEMS; `ids`: the sample id of each row.
    """
    named = found.append_column("sample_id", ids.take(found["row"]))
    order = _order(named, ("item", "channel"))
    kept = order[_among_first(named, order, LISTED)]
    table = named.take(pa.array(kept))
    of_items = items.select(["eval_set", "eval_id"]).take(table["item"])
    names = [of_items["eval_set"].to_pylist(), of_items["eval_id"].to_pylist(), table["sample_id"].to_pylist()]
    channels = table["channel"].to_pylist()
    identities = [finding_id(channel, *rest) for channel, *rest in zip(channels, *names, strict=True)]
    columns = {
        **{name: table[name] for name in ("grade", "channel", "score", "transform", "evidence", "sample_id")},
        **{name: of_items[name] for name in ("eval_set", "eval_id")},
        "finding_id": pa.array(identities, pa.string()),
        "source": pa.array([source] * table.num_rows, pa.string()),
    }
    made = pa.table([columns[name] for name in FINDINGS.names], schema=FINDINGS)
    return made.append_column(FOUND.field("item"), table["item"])


def merged(parts: Sequence[pa.Table], counts: pa.Table) -> pa.Table:
    """FINDINGS of all fragments: of each item and channel the strongest 100, in the order of FINDINGS.

    `parts`: what `listed` made of each; `counts`: TALLY of all. Where more were found, `of` in the evidence says how
    many.
    """
    table = pa.concat_tables(parts)
    order = _order(table, ("item", "channel"))
    table = table.take(pa.array(order[_among_first(table, order, LISTED)]))
    totals: dict[tuple[int, str], int] = {}
    for row in counts.to_pylist():
        totals[row["item"], row["channel"]] = totals.get((row["item"], row["channel"]), 0) + row["samples"]
    of = [totals[key] for key in zip(table["item"].to_pylist(), table["channel"].to_pylist(), strict=True)]
    evidence = [
        _with_total(text, total) if total > LISTED else text
        for text, total in zip(table["evidence"].to_pylist(), of, strict=True)
    ]
    index = table.schema.get_field_index("evidence")
    table = table.set_column(index, FINDINGS.field("evidence"), pa.array(evidence, pa.string()))
    return in_order(table.select(FINDINGS.names))


def in_order(findings: pa.Table) -> pa.Table:
    """FINDINGS by eval set, item, strength of grade, score (highest first) and sample."""
    return findings.take(pa.array(_order(findings, ("eval_set", "eval_id"))))


def _picture_pairs(
    images: Sequence[Sequence[str]], hits: pa.Table, pictures: pa.Table
) -> Iterable[tuple[int, int, dict[str, Any]]]:
    """Row, item, and the hit of one of the item's pictures among the sample's."""
    of_image: dict[str, list[dict[str, Any]]] = {}
    for hit in hits.to_pylist():
        of_image.setdefault(hit["image_id"], []).append(hit)
    if not of_image:
        return
    known = {row["picture"]: row for row in pictures.select(["picture", "image_id", "items"]).to_pylist()}
    for row, ids in enumerate(images):
        for image_id in dict.fromkeys(ids):
            for hit in of_image.get(image_id, ()):
                picture = known[hit["picture"]]
                for item in picture["items"]:
                    yield row, item, {**hit, "eval_image_id": picture["image_id"]}


def _by_pair(hits: Iterable[tuple[int, int, Hit]]) -> dict[tuple[int, int], list[Hit]]:
    """(row, item) -> its hits, the strongest first."""
    found: dict[tuple[int, int], list[Hit]] = {}
    for row, item, hit in hits:
        found.setdefault((row, item), []).append(hit)
    for several in found.values():
        several.sort(key=lambda hit: (RANK[hit["grade"]], -hit["score"]))
    return found


def _spread(
    read: dict[tuple[int, int], list[Hit]], alike: Numbers, supported: set[int]
) -> dict[tuple[int, int], list[Hit]]:
    """Hits of a question that many items have, given to those of them whose picture or group the sample has."""
    leaders = {item for _, item in read} & set(alike[alike != np.arange(len(alike))].tolist())
    if not leaders:
        return read
    items_of: dict[int, set[int]] = {}
    for code in supported:
        items_of.setdefault(code >> 32, set()).add(code & 0xFFFFFFFF)
    found: dict[tuple[int, int], list[Hit]] = {}
    for (row, item), hits in read.items():
        those = [item]
        if item in leaders:
            those = [other for other in items_of.get(row, ()) if alike[other] == item]
        for other in those:
            found.setdefault((row, other), []).extend(hits)
    return found


def wordings_of(items: pa.Table, pictures: pa.Table, about_pictures: Collection[str] = ()) -> Wordings:
    """What the questions of ITEMS (`eval_set` and `question`) are able to say.

    `about_pictures` are sets whose pictures are not all there: any of their items may be about one.
    """
    words = pc.list_value_length(pc.utf8_split_whitespace(pc.utf8_trim_whitespace(items["question"])))
    pictured = pc.is_in(items["eval_set"], pa.array(sorted(about_pictures), pa.string())).to_numpy().copy()
    shown = {item for those in pictures["items"].to_pylist() for item in those}
    pictured[np.array(sorted(shown), np.int64)] = True
    return Wordings(pc.fill_null(words, 0).to_numpy(), pictured)


def _stands(hit: Hit, item: int, wordings: Wordings) -> bool:
    """Whether a text is evidence without the item's picture or group."""
    words, pictured = wordings.words[item], wordings.pictured[item]
    evident = hit["answer"] or (hit["alone"] and (words >= REWORDED_WORDS or hit["grade"] != Grade.PARAPHRASE))
    return bool(evident and (words >= LONG_WORDS or not pictured or hit["item_field"] not in OF_PICTURE))


def _of_pair(row: int, item: int, shown: Sequence[Hit], read: Sequence[Hit]) -> list[dict[str, Any]]:
    """What one sample and one item have in common: a pair, or a picture, or a text, or picture and lesser text."""
    seen = _seen(shown[0]) if shown else None
    said = _said(read[0]) if read else None
    found = []
    if seen is not None and said is not None and RANK[said["grade"]] <= _OF_CONTENT:
        better = min((seen, said), key=lambda side: RANK[side["grade"]])
        evidence = {"image": seen["evidence"], "text": said["evidence"]}
        found.append({**better, "channel": Channel.PAIR, "transform": seen["transform"], "evidence": evidence})
    else:
        found += [] if seen is None else [{**seen, "channel": Channel.IMAGE}]
        found += [] if said is None else [{**said, "channel": Channel.TEXT}]
    return [{**one, "row": row, "item": item, "evidence": _json(one["evidence"])} for one in found]


def _seen(hit: Hit) -> dict[str, Any]:
    ids = {"image_id": hit["image_id"], "eval_image_id": hit["eval_image_id"]}
    return {
        "grade": hit["grade"],
        "score": hit["score"],
        "transform": hit["transform"],
        "evidence": {**ids, **orjson.loads(hit["evidence"] or b"{}")},
    }


def _said(hit: Hit) -> dict[str, Any]:
    told = {name: hit[name] for name in (*_OF_TEXT, "alone", "answer", "question")}
    return {
        "grade": hit["grade"],
        "score": hit["score"],
        "transform": None,
        "evidence": {**told, **orjson.loads(hit["evidence"] or b"{}")},
    }


def _group_pairs(groups: pa.Table) -> tuple[Numbers, Numbers, npt.NDArray[np.int64]]:
    """Rows, items, and the row of GROUP_HITS that joins them, each pair once, by row and item."""
    lists = pa.concat_arrays(groups["items"].chunks) if groups.num_rows else pa.array([], pa.list_(pa.int32()))
    which = lists.value_parent_indices().to_numpy().astype(np.int64)
    items = lists.flatten().to_numpy().astype(np.int32)
    rows = groups["row"].to_numpy()[which].astype(np.int32)
    _, first = np.unique(_codes(rows, items), return_index=True)
    return rows[first], items[first], which[first]


def _codes(rows: Numbers, items: Numbers) -> npt.NDArray[np.int64]:
    return rows.astype(np.int64) << 32 | items


def _with_groups(found: pa.Table, groups: pa.Table, pairs: tuple[Numbers, Numbers, npt.NDArray[np.int64]]) -> pa.Table:
    """FOUND with the pairs that share a group and of whose content nothing was found."""
    rows, items, which = pairs
    ranks = np.array([RANK[grade] for grade in found["grade"].to_pylist()], np.int64)
    content = _codes(found["row"].to_numpy(), found["item"].to_numpy())[ranks <= _OF_CONTENT]
    alone = ~np.isin(_codes(rows, items), content)
    rows, items, which = rows[alone], items[alone], which[alone]
    named = [
        _json({"kind": kind, "id": name})
        for kind, name in zip(groups["kind"].to_pylist(), groups["id"].to_pylist(), strict=True)
    ]
    count = len(rows)
    columns = {
        "row": rows,
        "item": items,
        "channel": [Channel.GROUP.value] * count,
        "grade": [Grade.SAME_GROUP.value] * count,
        "score": pa.nulls(count, pa.float64()),
        "transform": pa.nulls(count, pa.string()),
        "evidence": pa.array(named, pa.string()).take(pa.array(which)),
    }
    table = pa.concat_tables([found, pa.table([columns[name] for name in FOUND.names], schema=FOUND)])
    return table.sort_by([(name, "ascending") for name in ("row", "item", "channel")])


def _order(table: pa.Table, first: Sequence[str]) -> npt.NDArray[np.int64]:
    """By these columns, then the strongest grade, the best score, and the smallest sample or item."""
    ranks = pa.array([RANK[grade] for grade in table["grade"].to_pylist()], pa.int8())
    last = [name for name in ("sample_id", "item", "channel", "source") if name in table.column_names]
    keys = [*((name, "ascending") for name in first), ("rank", "ascending"), ("score", "descending")]
    keys += [(name, "ascending") for name in last if name not in first]
    order: npt.NDArray[np.int64] = pc.sort_indices(table.append_column("rank", ranks), keys).to_numpy().astype(np.int64)
    return order


def _among_first(table: pa.Table, order: npt.NDArray[np.int64], most: int) -> npt.NDArray[np.bool_]:
    """Whether each place of an order by item and channel is among the first `most` of its item and channel."""
    keys = list(zip(*(table[name].take(pa.array(order)).to_pylist() for name in ("item", "channel")), strict=True))
    seen: dict[tuple[int, str], int] = {}
    among = np.zeros(len(keys), bool)
    for place, key in enumerate(keys):
        seen[key] = seen.get(key, 0) + 1
        among[place] = seen[key] <= most
    return among


def _as_tally(counts: Mapping[tuple[int, str, str], int]) -> pa.Table:
    keys = sorted(counts, key=lambda key: (key[0], key[1], RANK[key[2]]))
    items, channels, grades = zip(*keys, strict=True) if keys else ((), (), ())
    return pa.table([items, channels, grades, [counts[key] for key in keys]], schema=TALLY)


def _with_total(evidence: str | None, total: int) -> str:
    return _json({**orjson.loads(evidence or b"{}"), "of": total})


def _json(document: Mapping[str, Any]) -> str:
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS).decode()
