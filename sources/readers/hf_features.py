"""What columns of an HF dataset mean: labels by their names, and kinds of column that are neither text nor pictures."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from sources.columns import mapped_columns, takes_rest
from sources.identifying import wanted_columns
from sources.readers.hf_library import datasets_library
from sources.records import Corpus, CorpusError, Record, RecordError, Unreadable

Feature = Any
"""A feature of `datasets`: its classes are not imported to name them here."""
_VALUES = ("Value", "ClassLabel", "Translation", "Json")


def features_of(corpus: Corpus, path: str, schema: pa.Schema) -> dict[str, Feature]:
    """The mapped columns of a file's schema.

    Raises:
        CorpusError: a mapped column is of a kind that is no text and no picture.
    """
    try:
        known = datasets_library().Features.from_arrow_schema(schema)
    except (ValueError, TypeError, KeyError, NotImplementedError, AttributeError, pa.ArrowException):
        raise CorpusError(
            f"{corpus.shown(path)}: its features are of a kind that this version of `datasets` does not know"
        ) from None
    mapped = mapped_columns(corpus.card)
    wanted, every = wanted_columns(corpus), takes_rest(corpus.card)
    features = {name: feature for name, feature in known.items() if every or name in wanted}
    for name, feature in features.items():
        if name in mapped and not _is_picture(feature):
            _expect_value(corpus, path, name, feature)
    return features


def has_labels(feature: Feature) -> bool:
    """Whether any of a column's values is a number that stands for a name: all others are as they are."""
    if isinstance(feature, Mapping):
        return any(map(has_labels, feature.values()))
    if _is_list(feature):
        return has_labels(feature.feature)
    return isinstance(feature, datasets_library().ClassLabel)


def named_labels(labelled: dict[str, Feature], key: str, row: dict[str, Any]) -> Record | Unreadable:
    """The record of a row, the values of these columns by name."""
    if not labelled:
        return Record(key, row)
    try:
        names = {name: decoded(feature, row[name]) for name, feature in labelled.items() if name in row}
    except RecordError as error:
        return Unreadable(key, error.reason, str(error))
    return Record(key, {**row, **names})


def decoded(feature: Feature, value: Any) -> Any:
    """A value as people read it: the name of a label instead of its number; None where there is no label.

    Raises:
        RecordError: a number that is no label.
    """
    library = datasets_library()
    if value is None:
        return None
    if isinstance(feature, library.ClassLabel):
        if value == -1:
            return None
        if not 0 <= value < feature.num_classes:
            raise RecordError("a class label that its feature does not name")
        return feature.names[value]
    if isinstance(feature, Mapping) and isinstance(value, Mapping):
        return {name: decoded(feature.get(name), one) for name, one in value.items()}
    if _is_list(feature) and isinstance(value, list):
        return [decoded(feature.feature, one) for one in value]
    return value


def _is_list(feature: Feature) -> bool:
    library = datasets_library()
    return isinstance(feature, library.List | library.LargeList | library.Sequence)


def _is_picture(feature: Feature) -> bool:
    """Whether a column holds pictures: `Image`, bytes, or a list of either."""
    library = datasets_library()
    if _is_list(feature):
        return _is_picture(feature.feature)
    if isinstance(feature, library.Value):
        return feature.dtype in ("binary", "large_binary")
    return isinstance(feature, library.Image)


def _expect_value(corpus: Corpus, path: str, name: str, feature: Feature) -> None:
    if isinstance(feature, Mapping):
        for part in feature.values():
            _expect_value(corpus, path, name, part)
    elif _is_list(feature):
        _expect_value(corpus, path, name, feature.feature)
    elif _is_picture(feature):
        raise CorpusError(
            f"{corpus.shown(path)}: column {name!r} holds pictures among other things: make them a column of their own"
        )
    elif type(feature).__name__ not in _VALUES:
        raise CorpusError(
            f"{corpus.shown(path)}: column {name!r} holds {type(feature).__name__}, which is not read: leave it out"
        )
