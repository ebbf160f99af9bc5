"""`curate clean`: drop what only resuming needs."""

from typing import Annotated

import typer

from workflows.answer import print_json, say


def clean(
    run: Annotated[str, typer.Argument(help="A finished run.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Delete the committed work of a finished run; tables, shards and reports stay.

    After it, the same build is still a no-op, but more input or another recipe starts from the beginning.

    Example: curate clean runs/mid
    """
    from pipelines.places import folder_of
    from pipelines.run_directory import clean_work

    folder = folder_of(run)
    freed = clean_work(folder)
    if as_json:
        print_json({"run": folder.place, "freed_bytes": freed})
    else:
        say(f"{run}: {freed / 1e6:,.1f} MB freed")
