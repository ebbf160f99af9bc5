"""`curate remove`: takedown."""

from pathlib import Path
from typing import Annotated, Any

import typer

from workflows.answer import print_json, say

SHOWN_LINES = 20


def remove(
    run: Annotated[str, typer.Argument(help="A finished run: a folder or a URL.")],
    listed: Annotated[Path, typer.Option("--list", help="What is to go: `kind,value` a line (text, CSV or JSONL).")],
    reason: Annotated[str | None, typer.Option(help="Why, for the lineage; it stands in run.json: no names.")] = None,
    id_key: Annotated[Path | None, typer.Option(help="The site key, to list raw ids of keyed sources.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go; change nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Take samples out of a finished run, with what they said: retractions, opt-outs, revoked licences.

    Only the shards concerned are rewritten. Kinds: sample_id, source_key, image_id, pixel_hash, license, source,
    and groups (article, patient, study, ...); 32 hex digits alone may be a sample or a picture. Later builds into
    the run leave out what was removed. Killed, the same command finishes it.

    Example: curate remove runs/mid --list retracted.csv --reason "retracted, PubMed 2025-11"
    """
    from pipelines.places import folder_of
    from pipelines.takedown.remove import remove as take_down

    answer = take_down(folder_of(run), listed, reason, id_key, dry_run=dry_run)
    if as_json:
        print_json(answer)
    say("\n".join(lines(answer)))


def lines(answer: dict[str, Any]) -> list[str]:
    """The answer for people: lines of the list by number, never what they say."""
    told = ["an interrupted removal was finished first"] if answer["resumed"] else []
    if not answer["samples"]:
        told.append("nothing left to remove" if answer["nothing_left"] else "nothing to remove now")
    else:
        would = "would remove" if answer["dry_run"] else "removed"
        told.append(f"{would} {answer['samples']:,} samples, {answer['from_shards']:,} of them from shards")
        told += [f"  {number:,} by {kind}" for kind, number in answer["by"].items()]
        told += [f"  {number:,} from the shards of {source}" for source, number in answer["sources"].items()]
        shards = answer["shards"]
        told.append(
            f"  {len(shards['rewritten']):,} shards rewritten, {len(shards['deleted']):,} deleted; "
            f"{answer['images']:,} pictures blanked"
        )
    said = [f"line {row['line']}: {row['matched']:,} as {row['as']}" for row in answer["entries"]]
    told += _some([f"  {row}" for row in said])
    if answer["unmatched"]:
        numbers = [str(line) for line in answer["unmatched"]]
        told.append(f"matched nothing ({len(numbers):,}): line {', '.join(numbers[:SHOWN_LINES])}" +
                    (" ..." if len(numbers) > SHOWN_LINES else ""))  # fmt: skip
        kept = len(answer["remembered"])
        told.append(f"  {kept:,} of them are looked for by later builds, {len(numbers) - kept:,} are not "
                    "(a bare id, or a name of a person that was given without --id-key)")  # fmt: skip
    return told


def _some(rows: list[str]) -> list[str]:
    left = len(rows) - SHOWN_LINES
    return [*rows[:SHOWN_LINES], *([f"  and {left:,} more lines that matched"] if left > 0 else [])]
