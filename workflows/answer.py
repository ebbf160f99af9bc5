"""How a command answers: text for people on stderr, one JSON object for machines on stdout."""

import sys
from collections.abc import Mapping
from typing import Any


def print_json(document: Mapping[str, Any]) -> None:
    """The one JSON object of a command called with `--json`."""
    import orjson

    sys.stdout.buffer.write(orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    sys.stdout.flush()


def say(text: str) -> None:
    """A line for people."""
    sys.stderr.write(f"{text}\n")


def fail(message: str, hint: str, status: int, as_json: bool) -> int:  # noqa: FBT001 - as the user's flag
    """Say what went wrong and what to do; returns the exit status."""
    if as_json:
        print_json({"error": message, "hint": hint})
    else:
        say(f"curate: {message}")
        if hint:
            say(f"  {hint}")
    return status
