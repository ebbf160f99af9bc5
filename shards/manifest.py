"""`manifest.json`: the one list of shards that readers go by. A tar it does not name is not data."""

from typing import Annotated, Any

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from shards.names import is_key, is_shard_name
from sources.storage import Folder

MANIFEST_NAME = "manifest.json"
MANIFEST_FORMAT = 1
MAX_MANIFEST_BYTES = 256 * 2**20  # about a million shards


class ManifestError(Exception):
    """There is no manifest, or not one this version reads. The message names the file and what to do."""


def _valid(check: Any, expected: str) -> AfterValidator:
    def validate(value: str) -> str:
        if not check(value):
            raise ValueError(f"expected {expected}")
        return value

    return AfterValidator(validate)


ShardName = Annotated[str, _valid(is_shard_name, "a plain file name that ends in .tar")]
Key = Annotated[str, _valid(is_key, "a sample id")]
Count = Annotated[int, Field(ge=0)]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ShardEntry(_Strict):
    """One shard: its file name, what it must be, and the keys of its first and last sample in file order."""

    name: ShardName
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    bytes: Count
    samples: Annotated[int, Field(ge=1)]
    tokens: Count
    first_key: Key
    last_key: Key


class Mixture(_Strict):
    """How sources are to be mixed: what the packing plan starts from. Tars do not depend on it."""

    seed: int
    epochs: Annotated[int, Field(ge=1)]
    weights: dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]]
    """Source -> its share, relative to the others'."""


class Manifest(_Strict):
    """The content of `manifest.json`. `build` is the fingerprint of the build.

    `index`, `plan` and `audit` name the files beside the manifest that hold them, or are null: not made.
    `validation` lists the held-out shards; a build that holds nothing out has no such key. What trains reads `shards`.
    """

    format: int = MANIFEST_FORMAT
    build: str
    stage: str
    tokenizer: str
    context_tokens: Annotated[int, Field(ge=1)]
    mixture: Mixture
    shards: tuple[ShardEntry, ...]
    validation: tuple[ShardEntry, ...] | None = None
    index: FileName | None = None
    plan: FileName | None = None
    audit: FileName | None = None

    @property
    def every_shard(self) -> tuple[ShardEntry, ...]:
        """Training shards, then held-out ones."""
        return (*self.shards, *(self.validation or ()))


def manifest_bytes(manifest: Manifest) -> bytes:
    """Return the file's content: keys in a fixed order, sources sorted, so that equal manifests are equal bytes."""
    content = manifest.model_dump(mode="json", exclude=None if manifest.validation is not None else {"validation"})
    content["mixture"]["weights"] = dict(sorted(manifest.mixture.weights.items()))
    return orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def read_manifest(folder: Folder) -> Manifest:
    """Read and check the manifest of a folder of shards.

    Raises:
        ManifestError: it is missing, damaged, of another format, or names one shard twice.
    """
    place = f"{folder.place}/{MANIFEST_NAME}"
    stat = folder.stat(MANIFEST_NAME)
    if stat is None:
        raise ManifestError(f"{place}: there is none; give the shards/ folder of a finished build")
    if stat.size > MAX_MANIFEST_BYTES:
        raise ManifestError(f"{place}: {stat.size} bytes, a manifest has at most {MAX_MANIFEST_BYTES}")
    data = folder.read(MANIFEST_NAME)
    try:
        content = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise ManifestError(f"{place}: not JSON (line {error.lineno}); restore it or build again") from error
    _check_format(str(place), content)
    try:
        manifest = Manifest.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ManifestError(f"{place}: {where}: {first['msg']}; restore it or build again") from error
    _check_names(str(place), manifest)
    return manifest


def _check_format(place: str, content: Any) -> None:
    found = content.get("format") if isinstance(content, dict) else None
    if type(found) is not int:
        raise ManifestError(f"{place}: has no format number; it is not a manifest that curate wrote")
    if found > MANIFEST_FORMAT:
        raise ManifestError(f"{place}: format {found} is newer than {MANIFEST_FORMAT}; use a newer curate")
    if found < MANIFEST_FORMAT:
        raise ManifestError(f"{place}: format {found} is older than {MANIFEST_FORMAT}; build the shards again")


def _check_names(place: str, manifest: Manifest) -> None:
    seen: set[str] = set()
    for entry in manifest.every_shard:
        if entry.name in seen:
            raise ManifestError(f"{place}: names {entry.name} twice; restore it or build again")
        seen.add(entry.name)
