"""Samples that come back from shards of ours: what their `{key}.json` says is taken over, not made anew."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from sources.identity import SAMPLE_ID_DIGITS
from sources.licenses import spdx_license
from sources.records import Corpus, Record, RecordError
from sources.schema import ACCESS, IMAGE_PLACEHOLDER, TASKS
from sources.uris import written_images


def _one_of(allowed: tuple[str, ...]) -> AfterValidator:
    def check(value: str) -> str:
        if value not in allowed:
            raise ValueError("not an allowed value")
        return value

    return AfterValidator(check)


Id = Annotated[str, Field(pattern=rf"^[0-9a-f]{{{SAMPLE_ID_DIGITS}}}$")]


class _Said(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True)


class _Turn(_Said):
    role: Annotated[str, _one_of(("system", "user", "assistant", "analysis", "text"))]
    text: str


class _Group(_Said):
    kind: str
    id: str


class _Image(_Said):
    member: str


class _Sample(_Said):
    """What is taken over of a sample's JSON (docs/run_directory.md)."""

    sample_id: Id
    source_key: str
    task: Annotated[str, _one_of(TASKS)]
    license: str
    access: Annotated[str, _one_of(ACCESS)]
    language: str | None
    turns: Annotated[list[_Turn], Field(min_length=1)]
    question: str | None
    options: list[str] | None
    answer: str | None
    groups: list[_Group]
    images: list[_Image]
    parent_id: Id | None


def is_finished(content: Mapping[str, Any]) -> bool:
    """Whether a JSON object is one of ours, right or wrong: it has all of our names."""
    return content.keys() >= _Sample.model_fields.keys()


def members_of(content: Mapping[str, Any]) -> list[str]:
    """What follows `{key}.` in the names of the sample's pictures, in order.

    Raises:
        RecordError: the content is not as our shards have it.
    """
    return [image.member for image in _parsed(content).images]


def finished_sample(corpus: Corpus, path: str, record: Record) -> dict[str, Any]:
    """A row of SAMPLES: id, key, task, turns, groups, licence and language as the shard has them.

    The source is the corpus, and access the stricter of the card's and the sample's. In a keyed corpus ids, key and
    groups are keyed once more.

    Raises:
        RecordError: the content is not as our shards have it, or speaks of more or fewer pictures than it has.
    """
    said, identity = _parsed(record.row), corpus.identity
    uris = written_images(corpus, path, record)
    if sum(turn.text.count(IMAGE_PLACEHOLDER) for turn in said.turns) != len(uris):
        raise RecordError(f"its turns have another number of {IMAGE_PLACEHOLDER} than it has pictures")
    ids = {name: name and identity.sample_id(name, None) for name in (said.sample_id, said.parent_id)}
    return {
        "sample_id": ids[said.sample_id] if identity.keyed else said.sample_id,
        "source": corpus.name,
        "source_key": identity.name("key", said.source_key),
        "split": corpus.splits.get(path),
        "task": said.task,
        "turns": [{"role": turn.role, "text": turn.text} for turn in said.turns],
        "images": [{"image_id": None, "uri": identity.name("path", uri), "frame": None} for uri in uris],
        "groups": [{"kind": group.kind, "id": identity.name(group.kind, group.id)} for group in said.groups],
        "license": spdx_license(said.license),
        "access": max(corpus.card.access, said.access, key=ACCESS.index),
        "language": said.language,
        "question": said.question,
        "options": said.options,
        "answer": said.answer,
        "parent_id": ids[said.parent_id] if identity.keyed else said.parent_id,
        "meta": None,
    }


def _parsed(content: Mapping[str, Any]) -> _Sample:
    try:
        return _Sample.model_validate(content)
    except ValidationError as error:
        names = ".".join(str(part) for part in error.errors()[0]["loc"] if isinstance(part, str))
        raise RecordError(f"looks like a sample of our shards, but {names} is not as these have it") from None
