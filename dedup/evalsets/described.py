"""Eval sets of others: a folder with a small `evalset.yaml`."""

import difflib
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError

from dedup.evalsets.registry import EvalSet, EvalSetError, Fields, Form, registry
from sources.cards import Join, Layout, Strict, catalogue
from sources.find import DEFAULT_FILES
from sources.schema import UNKNOWN_LICENSE
from sources.storage import Folder, is_absence

DESCRIPTION = "evalset.yaml"
MAX_DESCRIPTION_BYTES = 2**20
_READERS = {
    ".parquet": "parquet", ".jsonl": "jsonl", ".json": "json", ".csv": "csv", ".tsv": "csv", ".tar": "webdataset",
    ".jpg": "image_folder", ".jpeg": "image_folder", ".png": "image_folder", ".arrow": "hf",
}  # fmt: skip
"""By the suffix of the files, where the description names no reader."""


class Description(Strict):
    """`evalset.yaml` (docs/eval_sets.md). Of a registered set that was fetched only name and revision are needed."""

    name: str
    description: str = ""
    version: str | None = None
    license: str = UNKNOWN_LICENSE
    access: str = "open"
    identifiers: Literal["public", "keyed"] | None = None
    language: str | None = None
    task: str | None = None
    """Default: `instruct` of LLaVA conversations, else `vqa` (with or without pictures)."""
    reader: str | None = None
    options: dict[str, Any] = Field(default_factory=dict)
    path: str | tuple[str, ...] | None = None
    """Globs of the record files under the folder; default: all of the reader's form."""
    split: str | tuple[str, ...] | None = None
    where: dict[str, str | tuple[str, ...]] = Field(default_factory=dict)
    fields: Fields = Field(default_factory=dict)
    images: str | None = None
    """Folder of the pictures under the folder, or a template (as `layout.images` of a catalogue card)."""
    join: Join | None = None
    groups: tuple[str, ...] = ()
    made_from: tuple[str, ...] = ()
    repository: str | None = None
    revision: str | None = None
    content: str | None = None
    """`reading.content_hash` of its items when it was fetched: other items now are not the benchmark's."""


def is_described(folder: Folder) -> bool:
    """Whether the folder holds an `evalset.yaml`."""
    return folder.stat(DESCRIPTION) is not None


def description_in(folder: Folder) -> Description:
    """What the folder's `evalset.yaml` says.

    Raises:
        EvalSetError: there is none, or it does not say what it must.
    """
    try:
        document = yaml.safe_load(folder.read(DESCRIPTION, MAX_DESCRIPTION_BYTES))
    except OSError as error:
        if not is_absence(error):
            raise
        raise EvalSetError(
            f"{folder.place}: no {DESCRIPTION}", "describe the set in one (docs/eval_sets.md has an example)"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise EvalSetError(f"{folder.place}/{DESCRIPTION}: is not YAML", "see docs/eval_sets.md") from None
    try:
        return Description.model_validate(document)
    except ValidationError as error:
        raise _refused(folder, error) from None


def described(folder: Folder) -> EvalSet:
    """The eval set that a folder holds.

    Raises:
        EvalSetError: its `evalset.yaml` is absent or wrong, or nothing tells how its files are read.
    """
    said = description_in(folder)
    registered = registry().get(said.name)
    if registered is not None and said.reader is None and not said.fields:
        forms = tuple(_in_place(form) for form in registered.forms)
        return registered.model_copy(
            update={
                "forms": forms,
                "version": said.version or registered.version,
                "revision": said.revision,
                "content": said.content,
            }
        )
    reader = said.reader or _reader_of(folder, said)
    files = (said.path,) if isinstance(said.path, str) else said.path or DEFAULT_FILES.get(reader, ("**/*",))
    form = Form(
        reader=reader,
        options=said.options,
        layout=Layout(roots=(".",), files=files, images=said.images),
        fields=said.fields,
        where=said.where,
        join=said.join,
    )
    given = said.model_dump(
        include={"name", "description", "version", "license", "access", "identifiers", "language", "groups",
                 "made_from", "revision", "content"}
    )  # fmt: skip
    given["task"] = said.task or ("instruct" if reader == "llava" else "vqa")
    given["split"] = (said.split,) if isinstance(said.split, str) else said.split or ()
    try:
        return EvalSet.model_validate({**given, "forms": (form.model_dump(),)})
    except ValidationError as error:
        raise _refused(folder, error) from None


def _in_place(form: Form) -> Form:
    """The form with its files directly in the folder that was named."""
    layout = form.layout or (catalogue()[form.catalogue].layout if form.catalogue else None)
    return form if layout is None else form.model_copy(update={"layout": layout.model_copy(update={"roots": (".",)})})


def _reader_of(folder: Folder, said: Description) -> str:
    patterns = (said.path,) if isinstance(said.path, str) else said.path or ("**/*",)
    suffixes = {stat.path[stat.path.rfind(".") :].lower() for stat in folder.glob(patterns)}
    for suffix, reader in _READERS.items():
        if suffix in suffixes:
            return reader
    raise EvalSetError(
        f"{folder.place}: no file of a form that is read", f"name its reader in {DESCRIPTION}: `reader: jsonl`"
    )


def _refused(folder: Folder, error: ValidationError) -> EvalSetError:
    details = error.errors()[0]
    where = ".".join(str(part) for part in details["loc"])
    if details["type"] == "extra_forbidden":
        nearest = difflib.get_close_matches(str(details["loc"][-1]), Description.model_fields, 1, 0.0)[0]
        return EvalSetError(f"{folder.place}/{DESCRIPTION}: no key {where!r}", f"did you mean {nearest!r}?")
    return EvalSetError(f"{folder.place}/{DESCRIPTION}: {where}: {details['msg']}", "see docs/eval_sets.md")
