"""The group channel: samples that share a patient, study, article, case, video or slide with an eval item."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dedup.decontamination.articles import ArticleMap
from dedup.decontamination.identifiers import REGISTERED, UID, identifiers_of

GROUP_HITS = pa.schema(
    [
        pa.field("row", pa.int32(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("id", pa.string(), nullable=False),
        pa.field("items", pa.list_(pa.int32()), nullable=False),
    ]
)
"""One row per sample (its row in the table that was looked through) and group of eval items it belongs to.

`kind` and `id` are as the eval items have them; `items` are their numbers. Sorted by row, kind, id.
"""
PLAIN = r"^[0-9 ._/-]+$"
"""An id that is only a number counts inside one corpus: patient 2 of one is not patient 2 of another."""
_ANY = "*"
_UIDS = f"^{UID.pattern}$"


@dataclass(frozen=True)
class GroupIndex:
    """The groups of eval items by what identifies them: flat arrays, and nothing of the items themselves."""

    keys: pa.Array
    """Text by which a group is looked up, all different and sorted."""
    groups: npt.NDArray[np.int32]
    """Of each key: the number of its group (an article has several keys)."""
    kinds: pa.Array
    ids: pa.Array
    starts: npt.NDArray[np.int64]
    """Of each group: where its items begin in `items`; one more at the end."""
    items: npt.NDArray[np.int32]

    @classmethod
    def of(
        cls,
        items: pa.Table,
        articles: ArticleMap | None = None,
        corpora: Mapping[str, frozenset[str]] | None = None,
    ) -> "GroupIndex":
        """The index of a table of ITEMS.

        Args:
            items: with `eval_set` and `groups`.
            articles: other names of articles.
            corpora: eval set -> sources of the data whose plain numbers mean the same as the set's (those that
                `provenance.derivations` says it was made from); its own name always does.
        """
        numbers_of: dict[tuple[str, str], list[int]] = {}
        keys_of: dict[str, set[tuple[str, str]]] = {}
        columns = zip(items["eval_set"].to_pylist(), items["groups"].to_pylist(), strict=True)
        for number, (eval_set, listed) in enumerate(columns):
            for group in listed or ():
                named = (group["kind"], group["id"])
                numbers = numbers_of.setdefault(named, [])
                if not numbers or numbers[-1] != number:
                    numbers.append(number)
                places = {eval_set, *(corpora or {}).get(eval_set, ())}
                for key in _keys(*named, places, articles or ArticleMap()):
                    keys_of.setdefault(key, set()).add(named)
        named_groups = sorted(numbers_of)
        number_of = {named: number for number, named in enumerate(named_groups)}
        pairs = sorted((key, number_of[named]) for key, named_by in keys_of.items() for named in named_by)
        counts = [len(numbers_of[named]) for named in named_groups]
        return cls(
            keys=pa.array([key for key, _ in pairs], pa.string()),
            groups=np.array([number for _, number in pairs], np.int32),
            kinds=pa.array([kind for kind, _ in named_groups], pa.string()),
            ids=pa.array([name for _, name in named_groups], pa.string()),
            starts=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            items=np.array([number for named in named_groups for number in numbers_of[named]], np.int32),
        )

    def tables(self) -> dict[str, pa.Table]:
        """The index as it is committed; `from_tables` gives it back."""
        lists = pa.ListArray.from_arrays(pa.array(self.starts, pa.int32()), pa.array(self.items))
        return {
            "keys": pa.table({"key": self.keys, "group": self.groups}),
            "groups": pa.table({"kind": self.kinds, "id": self.ids, "items": lists}),
        }

    @classmethod
    def from_tables(cls, tables: Mapping[str, pa.Table]) -> "GroupIndex":
        """What `tables` made of an index."""
        keys, groups = tables["keys"].combine_chunks(), tables["groups"].combine_chunks()
        listed = _whole(groups["items"])
        counts = pc.list_value_length(listed).to_numpy(zero_copy_only=False)
        return cls(
            keys=_whole(keys["key"]).cast(pa.string()),
            groups=keys["group"].to_numpy().astype(np.int32),
            kinds=_whole(groups["kind"]).cast(pa.string()),
            ids=_whole(groups["id"]).cast(pa.string()),
            starts=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            items=pc.list_flatten(listed).to_numpy(zero_copy_only=False).astype(np.int32),
        )

    def hits(self, samples: pa.Table) -> pa.Table:
        """GROUP_HITS of some samples, by their groups and by ids inside their names.

        Args:
            samples: with `source`, `source_key`, `groups` and `images` of SAMPLES. Names of keyed sources are keyed:
                of them only the groups count.
        """
        rows, keys = _keys_of_samples(samples)
        places = pc.index_in(keys, _distinct(self.keys))
        known = np.flatnonzero(places.is_valid().to_numpy(zero_copy_only=False))
        if not len(known):
            return GROUP_HITS.empty_table()
        first, counts = self._groups_of_keys()
        place = places.take(pa.array(known)).to_numpy(zero_copy_only=False)
        found_rows = np.repeat(rows[known], counts[place])
        offsets = np.arange(len(found_rows)) - np.repeat(np.cumsum(counts[place]) - counts[place], counts[place])
        groups = self.groups[np.repeat(first[place], counts[place]) + offsets]
        pairs = np.unique(np.stack([found_rows.astype(np.int64), groups.astype(np.int64)], axis=1), axis=0)
        return self._table(pairs[:, 0].astype(np.int32), pairs[:, 1])

    def _groups_of_keys(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Of each distinct key: its first place in `groups`, and how many groups it has."""
        codes = self.keys.dictionary_encode().indices.to_numpy(zero_copy_only=False)
        _, first, counts = np.unique(codes, return_index=True, return_counts=True)
        return first.astype(np.int64), counts.astype(np.int64)

    def _table(self, rows: npt.NDArray[np.int32], groups: npt.NDArray[np.int64]) -> pa.Table:
        counts = self.starts[groups + 1] - self.starts[groups]
        offsets = np.concatenate([[0], np.cumsum(counts)])
        within = np.arange(offsets[-1]) - np.repeat(offsets[:-1], counts)
        items = self.items[np.repeat(self.starts[groups], counts) + within]
        lists = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(items))
        taken = pa.array(groups)
        return pa.table([pa.array(rows), self.kinds.take(taken), self.ids.take(taken), lists], schema=GROUP_HITS)


def _keys(kind: str, name: str, corpora: set[str], articles: ArticleMap) -> list[str]:
    """The texts that a group of an eval item is looked up by."""
    if re.fullmatch(_UIDS, name) and not name.startswith(REGISTERED):
        return [f"uid\0{_ANY}\0{name}"]
    if re.fullmatch(PLAIN, name):
        return [f"{kind}\0{corpus}\0{name}" for corpus in sorted(corpora)]
    names = articles.names(name) if kind == "article" else (name,)
    return [f"{kind}\0{_ANY}\0{other}" for other in names]


def _keys_of_samples(samples: pa.Table) -> tuple[npt.NDArray[np.int32], pa.Array]:
    """The texts that the samples' groups are looked up by, with the samples' rows."""
    listed = _whole(samples["groups"])
    rows = [pc.list_parent_indices(listed).to_numpy(zero_copy_only=False)]
    flat = pc.list_flatten(listed)
    kinds, ids = [flat.field("kind")], [flat.field("id")]
    for texts, of_row in _names(samples):
        found = identifiers_of(texts)
        rows.append(of_row[found["row"].to_numpy()])
        kinds.append(_whole(found["kind"]))
        ids.append(_whole(found["id"]))
    all_rows = np.concatenate(rows).astype(np.int32)
    all_kinds, all_ids = pa.concat_arrays(kinds), pa.concat_arrays(ids)
    sources = _whole(samples["source"]).cast(pa.string()).take(pa.array(all_rows))
    uid = pc.match_substring_regex(all_ids, _UIDS)
    plain = pc.and_(pc.match_substring_regex(all_ids, PLAIN), pc.invert(uid))
    kind = pc.if_else(uid, "uid", all_kinds)
    corpus = pc.if_else(plain, sources, _ANY)
    keys = pc.binary_join_element_wise(kind, corpus, all_ids, "\0")
    there = np.flatnonzero(keys.is_valid().to_numpy(zero_copy_only=False))
    return all_rows[there], keys.take(pa.array(there))


def _names(samples: pa.Table) -> list[tuple[pa.Array, npt.NDArray[np.int64]]]:
    """The names that may hold an id, each list with the rows they belong to."""
    images, groups = _whole(samples["images"]), _whole(samples["groups"])
    every = np.arange(samples.num_rows)
    return [
        (_whole(samples["source_key"]), every),
        (pc.list_flatten(images).field("uri"), pc.list_parent_indices(images).to_numpy(zero_copy_only=False)),
        (pc.list_flatten(groups).field("id"), pc.list_parent_indices(groups).to_numpy(zero_copy_only=False)),
    ]


def _distinct(keys: pa.Array) -> pa.Array:
    return keys.dictionary_encode().dictionary if len(keys) else pa.array([], pa.string())


def _whole(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
