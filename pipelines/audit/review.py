"""Review files: which findings somebody looked at and accepted, and why."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError

from pipelines.errors import UsageError
from sources.cards import Strict

FORM = "a review file has `reason: TEXT` and `accept: all`, or `accept:` with finding ids and {eval_set, eval_id}"


class AcceptedItem(Strict):
    """Every finding of one eval item."""

    eval_set: str
    eval_id: str


class Review(Strict):
    """What was accepted. `all` also accepts an audit that is incomplete or insensitive."""

    reason: Annotated[str, Field(min_length=1)]
    accept: Literal["all"] | tuple[str | AcceptedItem, ...]
    who: str | None = None
    until: date | None = None
    """The last day on which it holds."""

    @property
    def everything(self) -> bool:
        """Whether it accepts whatever is found."""
        return self.accept == "all"

    @property
    def finding_ids(self) -> frozenset[str]:
        """The findings that it names by their ids."""
        return frozenset(entry for entry in self._entries if isinstance(entry, str))

    @property
    def items(self) -> frozenset[tuple[str, str]]:
        """The eval items, (eval set, id), all findings of which it accepts."""
        return frozenset((entry.eval_set, entry.eval_id) for entry in self._entries if isinstance(entry, AcceptedItem))

    def holds_on(self, day: date) -> bool:
        """Whether it has not expired."""
        return self.until is None or day <= self.until

    def accepts(self, finding: Mapping[str, Any]) -> bool:
        """Whether a row of FINDINGS is accepted."""
        named = finding["finding_id"] in self.finding_ids
        return self.everything or named or (finding["eval_set"], finding["eval_id"]) in self.items

    @property
    def _entries(self) -> tuple[str | AcceptedItem, ...]:
        return () if isinstance(self.accept, str) else self.accept


def read_review(path: Path) -> Review:
    """The review in a YAML file.

    Raises:
        UsageError: it cannot be read, or is not in the form; the message says where.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"--accept {path}: cannot be read ({error.strerror})", FORM) from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise UsageError(f"--accept {path}: not valid YAML", FORM) from None
    try:
        return Review.model_validate(document)
    except ValidationError as error:
        details = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in details["loc"]) or "the file"
        raise UsageError(f"--accept {path}: {where}: {details['msg']}", FORM) from None
