"""Which columns of anyone's data name pictures that are there, and where these lie."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace

from sources.passed_over import names_picture
from sources.records import Corpus, Record, RecordError
from sources.storage import Folder
from sources.uris import PICTURE, written_images


def with_pictures(corpus: Corpus, first: Iterable[Record]) -> Corpus:
    """The corpus with the columns whose values in its first records name pictures that are there, and their folder."""
    written: list[str] = []
    named: dict[str, list[str]] = {}
    for record in first:
        if PICTURE in record.row:
            continue
        with suppress(RecordError):  # of a record that is quarantined when it is read
            own = written_images(corpus, corpus.files[0], record)
            written += own
            for column, value in record.row.items():
                values = value if isinstance(value, list) else [value]
                named.setdefault(column, []).extend(one for one in values if names_picture(one) and one not in own)
    lists = [uris for uris in (written, *named.values()) if uris]
    folder = next((found for uris in lists if (found := _folder_of(corpus.root, uris)) is not None), None)
    if folder is None:
        return corpus
    if folder:
        layout = corpus.card.layout.model_copy(update={"images": folder})
        corpus = replace(corpus, card=corpus.card.model_copy(update={"layout": layout}))
    prefix = f"{folder}/" if folder else ""
    return _with_columns(corpus, [name for name, uris in named.items() if _any_there(corpus.root, prefix, uris)])


def _with_columns(corpus: Corpus, others: Sequence[str]) -> Corpus:
    """The corpus with more columns of pictures beside its own."""
    card = corpus.card
    if not others or card.reader == "webdataset":
        return corpus
    own = [card.fields[name] for name in ("image", "images") if name in card.fields] or ["image"]
    columns = [part for column in own[:1] for part in (column if isinstance(column, tuple) else (column,))]
    fields = {name: column for name, column in card.fields.items() if name != "images"}
    added = {"image": tuple(dict.fromkeys((*columns, *others)))}
    return replace(corpus, card=card.model_copy(update={"fields": {**fields, **added}}))


def _folder_of(root: Folder, uris: Sequence[str]) -> str | None:
    """The folder directly under the root, or the root (empty), under which some of the pictures lie; None: neither."""
    if _any_there(root, "", uris):
        return ""
    return next((name for name in root.names() if root.has_folder(name) and _any_there(root, f"{name}/", uris)), None)


def _any_there(root: Folder, prefix: str, uris: Sequence[str]) -> bool:
    return any(root.stat(f"{prefix}{uri}") is not None for uri in uris[:20])
