"""`curate shards preview`: a page with samples as the trainer will see them."""

from pathlib import Path
from typing import Annotated

import typer

from workflows.answer import print_json, say


def preview(
    directory: Annotated[str, typer.Argument(help="A run, or a folder (or URL) with manifest.json and index.arrow.")],
    plan: Annotated[str, typer.Option(help="The plan's file name beside the shards.")] = "plan.arrow",
    out: Annotated[Path, typer.Option(help="The page to write, on this machine.")] = Path("preview.html"),
    samples: Annotated[int, typer.Option(min=1, max=1000, help="How many samples to show.")] = 24,
    show: Annotated[
        list[str] | None, typer.Option(help="For shards without their run: content of this source may be shown.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Write one page: rendered turns with the loss mask coloured, small pictures, packed rows as bars.

    Of credentialed and keyed sources it has numbers, and no content.

    Example: curate shards preview runs/mid --out mid.html
    """
    from pipelines.errors import UsageError
    from pipelines.places import folder_of
    from pipelines.preview import preview_page

    page = preview_page(folder_of(directory), plan, samples, show or ())
    try:
        out.write_text(page, encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"--out {out}: cannot be written ({error.strerror})", "name a file in a folder of yours"
        ) from None
    if as_json:
        print_json({"page": str(out.absolute()), "bytes": len(page.encode())})
    say(f"{out}: open it in a browser")
