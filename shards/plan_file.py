"""`plan.arrow`: the packing plan, one row per packed row in the order of training, and what it was made from.

An Arrow IPC file, not compressed, in record batches of 1,024 rows: reading is sequential, starting anywhere costs one
batch, and a plan of any size takes the memory of two. Global row r belongs to step r // rows_per_step.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, BinaryIO, Literal, NamedTuple

import blake3
import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from sources.storage import Folder

PLAN_NAME = "plan.arrow"
PLAN_ENDING = ".arrow"
PLAN_FORMAT = 1
BATCH_ROWS = 1024
CHECKSUM = b"checksum"
ABOUT_KEY = b"curate"
"""In the metadata of the schema: JSON of `PlanAbout`."""

PLACE = pa.struct(
    [
        pa.field("shard", pa.int32(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("size", pa.int64(), nullable=False),
        pa.field("tokens", pa.int32(), nullable=False),
        pa.field("start", pa.int32(), nullable=False),
    ]
)
PLAN_SCHEMA = pa.schema(
    [
        pa.field("samples", pa.list_(pa.field("item", PLACE, nullable=False)), nullable=False),
        pa.field("epoch", pa.int16(), nullable=False),
        pa.field("tokens", pa.int32(), nullable=False),
        pa.field("cost", pa.float64(), nullable=False),
    ]
)

_REMAKE = "make it again: curate shards plan DIR"
_WRITING = pa.ipc.IpcWriteOptions(use_threads=False)
_READING = pa.ipc.IpcReadOptions(use_threads=False)  # threads of Arrow do not live through a fork

Count = Annotated[int, Field(ge=0)]
AtLeastOne = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class PlanError(Exception):
    """There is no plan, or none that can be used with these shards. The message says what to do."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ImagePolicy(_Strict):
    """How many tokens a picture takes: `fixed`, whatever its size, or `tiles` of `side` pixels and a thumbnail."""

    policy: Literal["fixed", "tiles"] = "fixed"
    tokens_per_tile: Count = 576
    side: AtLeastOne = 336
    max_tiles: AtLeastOne = 12


class PlanMixture(_Strict):
    """How often samples are used. A name that `weights` does not hold has weight 1."""

    weights: dict[Literal["source", "modality", "task"], dict[str, Share]]
    temperature: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    caps: dict[str, AtLeastOne]
    """Source -> most samples per epoch."""
    token_caps: dict[str, AtLeastOne] = {}
    """Source -> most tokens per epoch."""
    max_repeats: AtLeastOne


class PlanBalance(_Strict):
    """Mean over the steps of the dearest row's cost over the mean row's: had rows a random order, and as planned."""

    before: Share
    after: Share


class PlanAbout(_Strict):
    """What a plan was made from, and what it amounts to.

    `manifest` is the SHA-256 of the bytes of `manifest.json`. `tokens` counts image tokens and repeats; `fill` is
    tokens / (rows x context). `excluded` counts samples in no row, by reason. `padding_rows` are rows that repeat
    documents because an epoch's last step had fewer documents than rows. `cut`: whether long texts are cut into
    several documents (`Place.start`); otherwise every place holds all tokens of its sample.
    """

    format: int = PLAN_FORMAT
    build: str
    manifest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    tokenizer: str
    context: AtLeastOne
    rows_per_step: AtLeastOne
    epochs: AtLeastOne
    seed: int
    steps: Count
    rows: Count
    samples: Count
    tokens: Count
    fill: Annotated[float, Field(ge=0, le=1)]
    images: ImagePolicy
    mixture: PlanMixture
    excluded: dict[str, Count]
    balance: PlanBalance
    padding_rows: Count
    cut: bool = False
    """Whether texts longer than the context were cut into pieces."""
    rows_per_step_given: bool = True
    """False where nobody asked for so many rows: more or fewer samples are to have others."""
    clipped: Count = 0
    """Samples that weights and temperature ask for more often than `max_repeats` in an epoch."""
    order: str = ""
    """Digest of which documents lie in which rows, in order ("" in older plans): no other packer's plan has it."""

    @model_validator(mode="after")
    def _whole_steps(self) -> "PlanAbout":
        if self.rows != self.steps * self.rows_per_step:
            raise ValueError("rows are not steps x rows_per_step")
        return self


def about_bytes(about: PlanAbout) -> bytes:
    """The JSON in the file: equal contents are equal bytes."""
    content = about.model_dump(mode="json")
    if not about.order:  # a plan of an earlier version keeps its bytes, and its digest
        del content["order"], content["clipped"], content["mixture"]["token_caps"]
    content["excluded"] = dict(sorted(about.excluded.items()))
    for name in content["mixture"].keys() & {"caps", "token_caps"}:
        content["mixture"][name] = dict(sorted(content["mixture"][name].items()))
    content["mixture"]["weights"] = {
        kind: dict(sorted(weights.items())) for kind, weights in sorted(about.mixture.weights.items())
    }
    return orjson.dumps(content)


def write_plan(file: BinaryIO, about: PlanAbout, rows: Iterator[pa.RecordBatch]) -> None:
    """Write the rows, which come in batches of any size with the columns of `PLAN_SCHEMA`, in order.

    The bytes depend on `about` and the rows alone, not on how these were cut. Memory: one batch of `rows` and 1,024
    rows. `file` is neither synced nor closed.

    Raises:
        ValueError: the columns are others, or there are more or fewer rows than `about` says.
    """
    schema = PLAN_SCHEMA.with_metadata({ABOUT_KEY: about_bytes(about)})
    count = 0
    with pa.ipc.new_file(pa.PythonFile(file, mode="w"), schema, options=_WRITING) as writer:
        for batch in _batches(rows):
            about_rows = {CHECKSUM: _checksum(count // BATCH_ROWS, batch)}
            writer.write_batch(batch.replace_schema_metadata(schema.metadata), about_rows)
            count += batch.num_rows
    if count != about.rows:
        raise ValueError(f"a plan of {about.rows} rows was given {count}")


def _batches(rows: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Cut batches of any size into batches of 1,024 rows, each a copy of its own that starts at offset 0."""
    waiting: list[pa.RecordBatch] = []
    count = 0
    for batch in rows:
        if not batch.schema.equals(PLAN_SCHEMA):
            raise ValueError(f"the columns of a plan are {PLAN_SCHEMA}, not {batch.schema}")
        start = 0
        while start < batch.num_rows:
            piece = batch.slice(start, BATCH_ROWS - count)
            waiting.append(piece)
            count += piece.num_rows
            start += piece.num_rows
            if count == BATCH_ROWS:
                yield pa.concat_batches(waiting)
                waiting, count = [], 0
    if waiting:
        yield pa.concat_batches(waiting)


class Place(NamedTuple):
    """One document of a row: where its sample lies, and which of its tokens are trained on here.

    `shard` is a number in `manifest.every_shard`; the bytes `offset:offset + size` of that tar are the sample's
    members. `tokens` counts image tokens. `start` is the first of them, not 0 only where a long text was cut.
    """

    shard: int
    offset: int
    size: int
    tokens: int
    start: int = 0


def piece_tokens(tokens: int, context: int) -> int:
    """Tokens of each piece, the last aside, of a text that is cut to fit the context: of one that fits, all."""
    return -(-tokens // max(1, -(-tokens // context)))


class PlanRow(NamedTuple):
    """One packed row: its documents in the order they are trained on."""

    samples: tuple[Place, ...]
    epoch: int
    tokens: int
    cost: float


class Plan:
    """An open plan. Not to be shared by threads or processes; a copy that is sent to a process opens the file anew."""

    def __init__(self, folder: Folder, name: str = PLAN_NAME) -> None:
        """Open the file and read what it says of itself.

        Raises:
            PlanError: there is none, it is damaged, or of another version.
            OSError: it cannot be had now.
        """
        self._folder, self._name = folder, name
        self._place = f"{folder.place}/{name}"
        self._open()

    def _open(self) -> None:
        self._batch: tuple[int, pa.RecordBatch] | None = None
        try:
            self._file = self._folder.open(self._name)
        except FileNotFoundError:
            raise PlanError(f"{self._place}: there is none; {_REMAKE}") from None
        with _told(f"{self._place}: no whole Arrow file: truncated or damaged"):
            self._reader = pa.ipc.open_file(pa.PythonFile(self._file, mode="r"), options=_READING)
        self.about = _read_about(self._place, self._reader.schema)
        batches = -(-self.about.rows // BATCH_ROWS)
        if self._reader.num_record_batches != batches:
            raise PlanError(f"{self._place}: {self._reader.num_record_batches} batches, not {batches}; {_REMAKE}")

    def __getstate__(self) -> dict[str, Any]:
        return {"_folder": self._folder, "_name": self._name, "_place": self._place, "_was": self.digest}

    def __setstate__(self, state: dict[str, Any]) -> None:
        was = state.pop("_was")
        self.__dict__.update(state)
        self._open()
        if self.digest != was:
            raise PlanError(f"{self._place}: replaced by another plan since it was opened; start again")

    def reopened(self) -> "Plan":
        """The same plan with a file of its own.

        Raises:
            PlanError: another plan is there now.
        """
        plan = Plan.__new__(Plan)
        plan.__setstate__(self.__getstate__())
        return plan

    @property
    def steps(self) -> int:
        """Of all epochs."""
        return self.about.steps

    @property
    def digest(self) -> str:
        """Of what the plan was made from and of its order, in 16 hex digits: another plan of the shards has another."""
        return hashlib.sha256(about_bytes(self.about)).hexdigest()[:16]

    def rows(self, start: int, stop: int, every: int = 1) -> list[PlanRow]:
        """Rows `start`, `start + every`, ... before `stop`.

        Raises:
            IndexError: the plan has no such rows.
            PlanError: the file is damaged there.
        """
        if not 0 <= start <= stop <= self.about.rows:
            raise IndexError(f"rows {start} to {stop} of a plan with {self.about.rows}")
        found: list[PlanRow] = []
        position = start
        while position < stop:
            number = position // BATCH_ROWS
            end = min(stop, (number + 1) * BATCH_ROWS)
            inside = slice(position - number * BATCH_ROWS, end - number * BATCH_ROWS, every)
            found += _rows_of(self._load(number), inside)
            position += -(-(end - position) // every) * every
        return found

    def batches(self) -> Iterator[pa.RecordBatch]:
        """All rows, 1,024 at a time. Raises PlanError where the file is damaged."""
        return map(self._load, range(-(-self.about.rows // BATCH_ROWS)))

    def _load(self, number: int) -> pa.RecordBatch:
        if self._batch is None or self._batch[0] != number:
            expected = min(BATCH_ROWS, self.about.rows - number * BATCH_ROWS)
            with _told(f"{self._place}: batch {number} is damaged"):
                batch, metadata = self._reader.get_batch_with_custom_metadata(number)
                batch.validate(full=True)
                told = None if metadata is None else metadata.get(CHECKSUM)  # older plans have none
            if told is not None and told != _checksum(number, batch):
                raise PlanError(f"{self._place}: batch {number} is damaged; {_REMAKE}")
            if batch.num_rows != expected:
                raise PlanError(f"{self._place}: batch {number} has {batch.num_rows} rows, not {expected}; {_REMAKE}")
            self._batch = (number, batch)
        return self._batch[1]


def open_plan(folder: Folder, name: str = PLAN_NAME) -> Plan:
    """Open the plan of a folder of shards. Raises as `Plan`."""
    return Plan(folder, name)


@contextmanager
def _told(what: str) -> Iterator[None]:
    """What Arrow says of bytes that are none of its own, as ours; what storage says passes."""
    try:
        yield
    except (pa.ArrowException, MemoryError):
        raise PlanError(f"{what}; {_REMAKE}") from None
    except OSError as error:
        if error.errno is not None:
            raise
        raise PlanError(f"{what}; {_REMAKE}") from None


def _checksum(number: int, batch: pa.RecordBatch) -> bytes:
    """Of the rows of a batch and its number: a flipped bit in a number is seen nowhere else."""
    digest = blake3.blake3(b"%d\0" % number)
    digest.update(batch.serialize())
    return digest.hexdigest(16).encode()


def _rows_of(batch: pa.RecordBatch, inside: slice) -> list[PlanRow]:
    samples = batch.column("samples")
    ends = _values(samples.offsets)
    low, high = int(ends[inside.start]), int(ends[inside.stop])
    values = samples.values.slice(low, high - low)
    columns = [_values(values.field(name)).tolist() for name in PLACE.names]
    places = list(map(Place, *columns))
    facts = [_values(batch.column(name))[inside].tolist() for name in ("epoch", "tokens", "cost")]
    numbers = np.arange(inside.start, inside.stop)[:: inside.step]
    bounds = zip((ends[numbers] - low).tolist(), (ends[numbers + 1] - low).tolist(), strict=True)
    return [
        PlanRow(tuple(places[first:last]), *fact)
        for (first, last), fact in zip(bounds, zip(*facts, strict=True), strict=True)
    ]


def _values(numbers: pa.Array) -> NDArray[Any]:
    """What `to_numpy` gives, which imports pandas first: half a second and 40 MB in every worker."""
    if not len(numbers):
        return np.empty(0, np.int64)
    dtype = np.dtype("float64" if pa.types.is_float64(numbers.type) else str(numbers.type))
    return np.frombuffer(numbers.buffers()[1], dtype, len(numbers), numbers.offset * dtype.itemsize)


def _read_about(place: str, schema: pa.Schema) -> PlanAbout:
    try:
        content = orjson.loads((schema.metadata or {})[ABOUT_KEY])
        found = content["format"]
    except (KeyError, TypeError, orjson.JSONDecodeError):
        raise PlanError(f"{place}: not a plan that curate wrote; {_REMAKE}") from None
    if found != PLAN_FORMAT:
        raise PlanError(f"{place}: format {found!r:.20}, this curate reads {PLAN_FORMAT}; {_REMAKE}")
    try:
        about = PlanAbout.model_validate_json(schema.metadata[ABOUT_KEY])
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise PlanError(f"{place}: {where}: {first['msg']}; {_REMAKE}") from None
    if not schema.remove_metadata().equals(PLAN_SCHEMA):
        raise PlanError(f"{place}: has other columns than a plan; {_REMAKE}")
    return about
