"""`curate doctor`: what is installed, what is missing, how to get it."""

from pathlib import Path
from typing import Annotated

import typer

from workflows.answer import print_json, say


def doctor(
    biomedclip: Annotated[
        Path | None, typer.Option(help="A directory with BiomedCLIP's files: print their sha256.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Say what this installation can do: packages by extra, weights, DICOM codecs, tokenizer, cores, memory, disk.

    Exit status 1 where something that a build needs is missing, or the directory that is named cannot be used.

    Example: curate doctor
    """
    from pipelines.diagnosis import diagnose, diagnosis_lines

    found = diagnose(biomedclip)
    print_json(found) if as_json else say("\n".join(diagnosis_lines(found)))
    raise typer.Exit(0 if found["ok"] else 1)
