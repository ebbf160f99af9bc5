"""`curate sources check` on every corpus of the catalogue: `python -m benchmarks.checked_corpora [--data DIR]`.

Each card is tried on its fixture, written for this run, and on the real files of `--data` where they hold the corpus.
A line each: records read, pictures missing, the share of samples with each promised group, and what is not as the card
says.
"""

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pipelines.check_source import check_source
from pipelines.errors import CurateError, UsageError
from sources.cards import catalogue
from sources.storage import LocalFolder
from tests.sources.corpora_fixtures import MAKERS


def looked_at(name: str, data: Path | None, key: Path, place: Path) -> Iterator[tuple[str, dict[str, Any] | str]]:
    """What `check` says of a corpus's fixture, and of its real files."""
    if name in MAKERS:
        MAKERS[name](place / name)
        yield "fixture", answer(name, place / name, key)
    if data is not None:
        found = answer(name, data, key)
        if not (isinstance(found, str) and "not found under" in found):
            yield "real", found


def answer(name: str, data: Path, key: Path) -> dict[str, Any] | str:
    """The answer of `check`, or its error."""
    try:
        return check_source(name, [LocalFolder(data)], key)
    except (CurateError, UsageError) as error:
        return str(error)


def _told(said: Sequence[dict[str, Any]]) -> str:
    return "; ".join(f"{one['what']} ({one['count']})" for one in said)


def main() -> None:
    """Print a line for each corpus and place."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    options = parser.parse_args()
    data = options.data.resolve() if options.data.is_dir() else None
    checked = wrong = 0
    with tempfile.TemporaryDirectory() as place:
        key = Path(place) / "site.key"
        key.write_text("a site key of a benchmark")
        for name in catalogue():
            for where, found in looked_at(name, data, key, Path(place)):
                checked += 1
                if isinstance(found, str):
                    print(f"{name:<24}{where:<9}{found}")
                    wrong += 1
                    continue
                groups = ", ".join(f"{kind} {share:.0%}" for kind, share in found["group_coverage"].items())
                pictures = f"{found['pictures']['missing']} of {found['pictures']['named']} pictures missing"
                problems = _told(found["problems"]) or "as the card says"
                notes = "".join(f"; note: {note}" for note in [_told(found["notes"])] if note)
                wrong += bool(found["problems"])
                read = f"{found['records_read']:>4} read, {pictures}; {groups or 'no groups'}"
                print(f"{name:<24}{where:<9}{read}; {problems}{notes}")
    print(f"{checked} looked at, {wrong} not as the card says")


if __name__ == "__main__":
    main()
