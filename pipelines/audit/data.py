"""What was given to audit: a run, shards of anyone, or data in one of the usual forms, as corpora."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256
from itertools import islice
from pathlib import PurePosixPath

from pipelines.audit.fields import GivenFields, Seen, are_numbers, card_of
from pipelines.audit.kinds import (
    ARROW,
    HEAD_BYTES,
    IN_RUNS,
    LINKS,
    UNLISTED,
    UNREADABLE,
    describes,
    is_beside,
    is_hidden_data,
    is_tar,
    reader_of,
    saved_folders,
)
from pipelines.audit.picture_columns import with_pictures
from pipelines.errors import UsageError
from pipelines.places import folder_of
from shards.manifest import MANIFEST_NAME, Manifest, ManifestError, ShardEntry, read_manifest
from shards.names import parse_shard_name
from sources.cards import Card, Layout
from sources.columns import REST
from sources.endings import ending_of
from sources.identity import Identity
from sources.readers.image_folder import USUAL_METADATA, metadata_file, metadata_rows
from sources.readers.registry import reader_named
from sources.readers.text import text_start
from sources.records import Corpus, CorpusError, Record
from sources.storage import BucketFolder, FileStat, Folder, with_listing
from sources.uris import PICTURE

SNIFFED = 200
"""Records that are looked at to tell columns."""


@dataclass(frozen=True)
class Shards:
    """The shards of ours among the data: each with its place in its corpus, and what the manifest promises."""

    manifest: Manifest
    manifest_sha256: str
    entries: tuple[tuple[int, str, ShardEntry], ...]
    """Number of the corpus, path of the tar in it, entry of the manifest."""


@dataclass(frozen=True)
class Data:
    """One place that was given, as corpora.

    `left_out`: ending, or another reason (`kinds`) -> files that are not looked at. `beside`: pictures beside records,
    which these may name.
    """

    name: str
    form: str
    corpora: tuple[Corpus, ...]
    shards: Shards | None = None
    left_out: dict[str, int] = field(default_factory=dict)
    beside: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
    """The files that no reader could begin with, as they may be shown."""


def recognised(place: str, name: str, given: GivenFields | None, site_key: bytes | None) -> Data:
    """The data at a path or URL; with a site key, whatever identifies in it is only stored keyed.

    Raises:
        UsageError: there is nothing, or nothing that is known.
    """
    folder, file = _located(place)
    identity = Identity(name, site_key)
    if file is not None:
        stat = folder.stat(file)
        assert stat is not None
        if _reader_for(folder, file) is None:
            raise UsageError(f"{place}: nothing here that can be read", _FORMS)
        return _of_files(folder, [stat], name, given, identity)
    for shards in (folder, folder.inside("shards")):
        if shards.stat(MANIFEST_NAME) is not None and _is_ours(shards):
            return shards_at(shards, name)
    stats, left_out = _listing(folder)
    if any(folder.stat(metadata) is not None for metadata in USUAL_METADATA):
        return _image_folder(folder, stats, name, given, identity, left_out)
    return _of_files(folder, stats, name, given, identity, left_out)


def _listing(folder: Folder) -> tuple[list[FileStat], Counter[str]]:
    """Every file that may be data, hidden ones too; how many others nobody can or may look at, by why."""
    stats, escaping = folder.listing(["**/*"])
    left_out = Counter({LINKS: len(escaping)} if escaping else {})
    listed = {stat.path for stat in stats}
    for stat in folder.files():
        if stat.path in listed:
            continue
        if is_hidden_data(stat.path):
            stats.append(stat)
        elif stat.path.endswith(f"shards/{MANIFEST_NAME}"):
            left_out[IN_RUNS] += 1
    return sorted(stats, key=lambda stat: stat.path), left_out


def shards_at(folder: Folder, name: str) -> Data:
    """The shards of ours in a folder, by its manifest: a corpus for each source.

    Raises:
        UsageError: the manifest cannot be used.
    """
    try:
        manifest = read_manifest(folder)
    except ManifestError as error:
        raise UsageError(str(error), "") from None
    digest = sha256(folder.read(MANIFEST_NAME)).hexdigest()
    data = as_shards(name, folder, manifest, digest, {entry.name: entry.name for entry in manifest.every_shard})
    others = {stat.path for stat in folder.glob(["**/*"]) if is_tar(stat.path)} - {
        path for corpus in data.corpora for path in corpus.files
    }
    return replace(data, left_out={UNLISTED: len(others)} if others else {})


def as_shards(name: str, folder: Folder, manifest: Manifest, digest: str, paths: dict[str, str]) -> Data:
    """Shards of ours, wherever their tars lie: `paths` gives the place of each by its name."""
    by_source: dict[str, list[ShardEntry]] = {}
    for entry in manifest.every_shard:
        parsed = parse_shard_name(entry.name)
        by_source.setdefault(name if parsed is None else parsed.source, []).append(entry)
    corpora, entries = [], []
    for number, (source, own) in enumerate(sorted(by_source.items())):
        card = Card(
            name=source,
            reader="webdataset",
            layout=Layout(files=("*.tar",)),
            task="text",
            access="open",
            identifiers="public",
        )
        files = tuple(paths[entry.name] for entry in own)
        corpora.append(Corpus(source, folder, card, Identity(source), files))
        entries += [(number, paths[entry.name], entry) for entry in own]
    return Data(name, "shards", tuple(corpora), Shards(manifest, digest, tuple(entries)))


def _located(place: str) -> tuple[Folder, str | None]:
    """A folder, or a folder and a file in it."""
    folder = folder_of(place, "DATA")
    if folder.exists():
        return folder, None
    parent, slash, name = place.rstrip("/").rpartition("/")
    beside = folder_of(parent or (slash or "."), "DATA") if not parent.endswith(":/") else None
    if beside is not None and name and beside.exists() and beside.stat(name) is not None:
        return beside, name
    raise UsageError(f"{place}: no such file or folder", "give a run, shards, or data as JSON, Parquet, CSV or tars")


def _is_ours(folder: Folder) -> bool:
    """Whether a `manifest.json` is one of shards, whatever its version."""
    return b'"shards"' in folder.read(MANIFEST_NAME)


def _of_files(
    folder: Folder, stats: Sequence[FileStat], name: str, given: GivenFields | None, identity: Identity,
    left_out: Mapping[str, int] | None = None,
) -> Data:  # fmt: skip
    """A corpus for each form of record file and each set of columns; pictures alone are a folder of pictures."""
    by_reader, others = _by_reader(folder, stats)
    pictures = by_reader.pop("image_folder", [])
    if not by_reader and pictures:
        return _image_folder(folder, stats, name, given, identity, left_out)
    if not by_reader:
        raise UsageError(f"{folder.place}: nothing here that can be read ({', '.join(others) or 'no data'})", _FORMS)
    groups, unreadable = _groups(folder, by_reader, name, given, identity)
    corpora = []
    for number, (card, files) in enumerate(groups, start=1):
        own = name if len(groups) == 1 else f"{name}_{number}"
        corpus = _corpus(folder, files, own, card.reader, replace(identity, source=own))
        corpus = replace(corpus, card=card.model_copy(update={"name": own}))
        corpora.append(with_pictures(corpus, islice(_records(corpus), SNIFFED)))
    form = "+".join(sorted({corpus.card.reader for corpus in corpora}))
    beside = tuple(stat.path for stat in pictures)
    total = others + Counter(left_out or {}) + Counter({UNREADABLE: len(unreadable)})
    return Data(name, form, tuple(corpora), None, dict(sorted(total.items())), beside, tuple(unreadable))


def _by_reader(folder: Folder, stats: Sequence[FileStat]) -> tuple[dict[str, list[FileStat]], Counter[str]]:
    """The files that are data by what reads them, and how many no reader is for, by their endings."""
    by_reader: dict[str, list[FileStat]] = {}
    left_out: Counter[str] = Counter()
    paths = {stat.path for stat in stats}
    saved = saved_folders(paths)
    alone = len(stats) == 1
    for stat in stats:
        if not alone and describes(stat.path, paths, partial(_head, folder)):
            continue
        reader = _reader_for(folder, stat.path, saved)
        if reader is not None:
            by_reader.setdefault(reader, []).append(stat)
        elif alone or not is_beside(stat.path):
            left_out[ending_of(stat.path)] += 1
    return by_reader, left_out


def _head(folder: Folder, path: str) -> bytes:
    with folder.open(path) as file:
        return file.read(HEAD_BYTES)


def _groups(
    folder: Folder, by_reader: dict[str, list[FileStat]], name: str, given: GivenFields | None, identity: Identity
) -> tuple[list[tuple[Card, list[FileStat]]], list[str]]:
    """The files by what their cards say, and the others by how they may be shown.

    One without a readable record goes with the first of its form.

    Raises:
        UsageError: no file can be read.
    """
    groups: dict[str, tuple[Card, list[FileStat]]] = {}
    refused: list[tuple[str, UsageError]] = []
    for reader, files in sorted(by_reader.items()):
        lots = [files] if reader == "hf" else [[stat] for stat in files]
        first, silent = None, []
        for lot in lots:
            corpus = _with_options(_corpus(folder, lot, name, reader, identity), given)
            try:
                card = _card(corpus, given)
            except UsageError as error:
                refused += [(corpus.shown(stat.path), error) for stat in lot]
                continue
            first = first or card
            if card is None:
                silent.append(lot)
            else:
                groups.setdefault(f"{reader} {card.model_dump_json()}", (card, []))[1].extend(lot)
        for lot in silent:
            if first is not None:
                groups[f"{reader} {first.model_dump_json()}"][1].extend(lot)
            else:
                shown = _plain(folder, (), name, reader, identity).shown(lot[0].path)
                refused.append((shown, UsageError(f"{shown}: no record in it can be read ({reader})", _FORMS)))
    if not groups:
        raise refused[0][1]
    return list(groups.values()), sorted(shown for shown, _ in refused)


_FORMS = "known are runs, tars, JSON, JSON Lines, Parquet, CSV, folders of pictures, and saved Hugging Face data sets"


def _reader_for(folder: Folder, path: str, saved: Collection[str] = ()) -> str | None:
    if path.lower().endswith(ARROW) and str(PurePosixPath(path).parent) in saved:
        return "hf"
    reader = reader_of(path)
    return _form_of_json(folder, path) if reader == "json" else reader


def _form_of_json(folder: Folder, path: str) -> str:
    """Whether a `.json` file is one document, or has an object a line."""
    corpus = _plain(folder, (path,), "data", "json", Identity("data"))
    try:
        first = text_start(corpus, path).first
    except CorpusError:  # which is said where its records are sought
        return "json"
    if first != b"{":
        return "json"
    with folder.open(path) as file:
        line = file.readline(2**20).strip()
        return "jsonl" if line.endswith(b"}") and file.readline(2**20).strip().startswith(b"{") else "json"


def _plain(folder: Folder, files: tuple[str, ...], name: str, reader: str, identity: Identity) -> Corpus:
    """A corpus of which only the reader is known."""
    layout = Layout(files=("**/*",))
    card = Card(name=name, reader=reader, layout=layout, task="text", access="open", identifiers="public", meta=(REST,))
    return Corpus(name, folder, card, identity, files)


def _corpus(folder: Folder, stats: Sequence[FileStat], name: str, reader: str, identity: Identity) -> Corpus:
    root = with_listing(folder, stats) if isinstance(folder, BucketFolder) else folder
    return _plain(root, tuple(sorted(stat.path for stat in stats)), name, reader, identity)


def _with_options(corpus: Corpus, given: GivenFields | None) -> Corpus:
    """The corpus, of a JSON document with where its records are, of a table with what stands between its columns."""
    options = {}
    if corpus.card.reader == "json" and given is not None and given.items is not None:
        options["items"] = given.items
    if corpus.card.reader == "csv" and corpus.files[0].lower().endswith(".csv"):
        names = _head(corpus.root, corpus.files[0]).partition(b"\n")[0]
        marks = [mark for mark in (b";", b"\t", b"|") if mark in names and b"," not in names]
        if marks:
            options["delimiter"] = max(marks, key=names.count).decode()
    return replace(corpus, card=corpus.card.model_copy(update={"options": options})) if options else corpus


def _card(corpus: Corpus, given: GivenFields | None) -> Card | None:
    """The card of a corpus, from what its first records hold; None where none of them can be read.

    Raises:
        UsageError: no column is known, or the file is not what its name says.
    """
    seen, answers, pictures = Seen(), [], False
    try:
        for record in islice(_records(corpus), SNIFFED):
            seen.add(record.row)
            pictures = pictures or bool(record.row.get(PICTURE))
            answers.append(record.row.get("answer"))
            if record.finished:
                return corpus.card
    except CorpusError as error:
        hint = (
            "say with --fields FILE which member holds the records: `items: NAME`"
            if "{items: " in str(error)
            else _FORMS
        )
        raise UsageError(str(error), hint) from None
    if not answers:
        return None
    seen.answers_are_numbers = are_numbers(answers)
    reader, no_map = corpus.card.reader, given is None or not given.columns
    if reader in ("json", "jsonl") and {"conversations", "conversatons"} & set(seen.columns) and no_map:
        reader = "llava"
    named = reader not in ("webdataset", "llava")
    shown = not corpus.identity.keyed
    card = card_of(corpus.name, reader, seen, given, named=named, pictures=pictures, shown=shown)
    return card.model_copy(update={"options": {**corpus.card.options, **card.options}})


def _records(corpus: Corpus) -> Iterator[Record]:
    """The first records that can be read."""
    reader = reader_named(corpus.card.reader)
    for fragment in reader.plan(corpus, corpus.files):
        yield from (record for record in reader.read(corpus, fragment) if isinstance(record, Record))


def _image_folder(
    folder: Folder, stats: Sequence[FileStat], name: str, given: GivenFields | None, identity: Identity,
    left_out: Mapping[str, int] | None = None,
) -> Data:  # fmt: skip
    """Pictures, with the first table of what is in them that can be read; without pictures there must be one."""
    by_reader, others = _by_reader(folder, stats)
    pictures = by_reader.pop("image_folder", [])
    corpus, refused = _corpus(folder, pictures, name, "image_folder", identity), {}
    for metadata in [*(path for path in USUAL_METADATA if folder.stat(path) is not None), ""]:
        try:
            card = _card_of_pictures(corpus, metadata, given)
            break
        except CorpusError as error:
            refused[metadata] = str(error)
    if not pictures and not metadata:
        raise UsageError(next(iter(refused.values())), _FORMS)
    told = {metadata, *refused}
    others.update(ending_of(stat.path) for own in by_reader.values() for stat in own if stat.path not in told)
    total = others + Counter(left_out or {}) + Counter({UNREADABLE: len(refused)})
    corpora, unreadable = (replace(corpus, card=card),), tuple(corpus.shown(path) for path in refused)
    return Data(name, "image_folder", corpora, None, dict(sorted(total.items())), unreadable=unreadable)


def _card_of_pictures(corpus: Corpus, metadata: str, given: GivenFields | None) -> Card:
    """The card of a folder of pictures, from the first rows of its table (`metadata` empty: of pictures alone).

    Raises:
        CorpusError: the table cannot be read, wherever in it, or is larger than one beside pictures may be.
    """
    seen, options = Seen(), {"metadata": metadata}
    corpus = replace(corpus, card=corpus.card.model_copy(update={"options": options}))
    if metadata_file(corpus) is not None:
        form = "jsonl" if metadata.endswith("l") else "csv"
        table = _plain(corpus.root, (metadata,), corpus.name, form, corpus.identity)
        rows = [record.row for record in islice(_records(table), SNIFFED)]
        if not rows:
            raise CorpusError(f"{corpus.shown(metadata)}: no record in it can be read")
        for row in rows:
            seen.add(row)
    shown = not corpus.identity.keyed
    card = card_of(corpus.name, "image_folder", seen, given, named=True, pictures=True, shown=shown)
    card = card.model_copy(update={"options": options | card.options})
    if metadata:
        metadata_rows(replace(corpus, card=card), metadata)
    return card
