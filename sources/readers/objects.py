"""One JSON object from its bytes, with the two ways in which it can fail told apart."""

import json
from typing import Any

import orjson

from sources.records import RecordError
from sources.schema import Reason


def parse_json(data: bytes) -> Any:
    """A JSON value; NaN and Infinity are accepted, as Python writes them.

    Raises:
        RecordError: `record.encoding` where the text is not UTF-8 (lone surrogates included), else
            `record.malformed`.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return _parse_leniently(data)


def parse_object(data: bytes) -> dict[str, Any]:
    """A JSON object.

    Raises:
        RecordError: as `parse_json`, or the value is no object.
    """
    value = parse_json(data)
    if not isinstance(value, dict):
        raise RecordError("not a JSON object")
    return value


def _parse_leniently(data: bytes) -> Any:
    try:
        value = json.loads(data.decode("utf-8"))
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeError:
        raise RecordError("not UTF-8", Reason.RECORD_ENCODING) from None
    except RecursionError:
        raise RecordError("JSON nested too deeply") from None
    except ValueError:
        raise RecordError("not valid JSON") from None
    return value
