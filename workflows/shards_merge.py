"""`curate shards merge`: several builds as one folder of shards."""

from typing import Annotated, Any

import typer

from workflows.answer import print_json, say

SHOWN = 10


def merge(
    builds: Annotated[list[str], typer.Argument(help="Runs, or folders (or URLs) of shards with manifest.json.")],
    out: Annotated[str, typer.Option(help="The folder of shards to be made; a new one.")],
    drop_repeated: Annotated[
        bool, typer.Option("--drop-repeated", help="Keep each sample once; else repeated ones are an error.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Put the shards of several builds into one folder, with one manifest, index, plan and data card.

    Tars are hard-linked or copied by the server where that is possible; a tar that several builds have is taken
    once, one whose name is taken gets the next number. Stage, tokenizer and context must agree. The union is not
    audited: run `curate audit` on it. Killed, the same command does it again.

    Example: curate shards merge runs/open runs/gated --out runs/union
    """
    from pipelines.errors import CurateError, UsageError
    from pipelines.places import folder_of
    from pipelines.replan import opened
    from shards.merge import merge_shards
    from shards.union import MergeError

    if len(builds) < 2:
        raise UsageError("merge needs at least two builds", "give runs, or their shards/ folders")
    folders = [opened(folder_of(build)).folder for build in builds]
    try:
        merged = merge_shards(folders, folder_of(out, "--out"), drop_repeated=drop_repeated)
    except MergeError as error:
        raise CurateError(str(error), error.hint) from None
    manifest, union = merged.manifest, merged.union
    answer: dict[str, Any] = {
        "shards": len(manifest.every_shard),
        "samples": sum(entry.samples for entry in manifest.every_shard),
        "tokens": sum(entry.tokens for entry in manifest.every_shard),
        "bytes": sum(entry.bytes for entry in manifest.every_shard),
        "build": manifest.build,
        "same_shards": union.same,
        "renamed": union.renamed,
        "repeated_samples_dropped": union.repeated,
        "shards_left_out": union.left_out,
        "notes": union.notes,
        "packing": {"context": manifest.context_tokens, "steps": merged.steps, "fill": merged.fill},
        "audit": None,
    }
    if as_json:
        print_json(answer)
    say("\n".join(_lines(answer, out)))


def _lines(answer: dict[str, Any], out: str) -> list[str]:
    packing = answer["packing"]
    size = f"{answer['samples']:,} samples in {answer['shards']:,} shards"
    told = [f"{out}: {size}, {packing['steps']:,} steps, {packing['fill']:.1%} full"]
    if answer["same_shards"]:
        told.append(f"  {answer['same_shards']:,} shards were in an earlier build already, byte for byte")
    renamed = list(answer["renamed"].items())
    told += [f"  {before} is {after} here" for before, after in renamed[:SHOWN]]
    if len(renamed) > SHOWN:
        told.append(f"  and {len(renamed) - SHOWN:,} more shards have another number here")
    if answer["repeated_samples_dropped"]:
        told.append(
            f"  {answer['repeated_samples_dropped']:,} samples were in several shards and are in one now; "
            f"{answer['shards_left_out']:,} shards had no other samples"
        )
    told += [f"  note: {note}" for note in answer["notes"]]
    told.append(f"no audit speaks of the union yet: curate audit {out} --against EVAL")
    return told
