"""`curate shards`: work on written shards."""

from typing import Annotated

import typer

from workflows.answer import print_json, say
from workflows.shards_merge import merge
from workflows.shards_plan import plan
from workflows.shards_preview import preview
from workflows.shards_stats import stats

shards = typer.Typer(help="Work on written shards.", no_args_is_help=True, rich_markup_mode=None)


@shards.callback()
def group() -> None:
    """Work on written shards."""


shards.command()(merge)
shards.command()(plan)
shards.command()(preview)
shards.command()(stats)


@shards.command()
def verify(
    directory: Annotated[
        str, typer.Argument(help="A run, or a folder (or URL) with manifest.json, such as RUN/shards.")
    ],
    workers: Annotated[int | None, typer.Option(min=1, help="Processes (default: one per core).")] = None,
    max_pixels: Annotated[
        int | None,
        typer.Option(min=1, help="The recipe's `max_pixels` (default: 200 million); no larger picture decodes."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Check shards against their manifest, byte by byte and sample by sample.

    Hashes, tar structure, keys, JSON, placeholders, pictures that decode, totals; the member index against the
    samples, plans against the index, `.nv-meta` against the manifest; and files that the manifest does not list.
    Exit status 1 where anything is wrong.

    Example: curate shards verify runs/mid/shards
    """
    from pipelines.engines.local import default_workers
    from pipelines.errors import UsageError
    from pipelines.places import folder_of
    from shards.verify import MAX_PIXELS, verify_shards

    folder = folder_of(directory)
    if not folder.exists():
        raise UsageError(f"{directory}: no such folder", "give the shards/ folder of a run")
    if folder.stat("manifest.json") is None and folder.stat("shards/manifest.json") is not None:
        folder = folder.inside("shards")
    problems = verify_shards(folder, workers or default_workers(), _progress, max_pixels=max_pixels or MAX_PIXELS)
    if as_json:
        rows = [{"shard": problem.shard, "reason": problem.reason} for problem in problems]
        print_json({"ok": not problems, "problems": rows})
    for problem in problems:
        say(f"{problem.shard}: {problem.reason}")
    if not problems:
        say("ok: every shard is what the manifest says")
    raise typer.Exit(1 if problems else 0)


def _progress(done: int, total: int) -> None:
    if done == total or done % 100 == 0:
        say(f"verified {done} of {total} shards")
