"""`curate diff`: what changed between two runs."""

from typing import Annotated, Any

import typer

from workflows.answer import print_json, say


def diff(
    a: Annotated[str, typer.Argument(help="A finished run.")],
    b: Annotated[str, typer.Argument(help="Another.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Compare two runs: settings, samples that only one has, and samples whose fate changed, by step.

    Example: curate diff runs/monday runs/tuesday
    """
    from pipelines.diff import compare
    from pipelines.places import folder_of

    found = compare(folder_of(a), folder_of(b))
    if as_json:
        print_json(found)
        return
    say("\n".join(lines(found)))


def lines(found: dict[str, Any]) -> list[str]:
    """The answer for people."""
    told = [f"setting {change}" for change in found["settings"]]
    for name, run in (("only_in_a", "A"), ("only_in_b", "B")):
        told += [f"only in {run}: {number:,} samples of {source}" for source, number in found[name].items()]
    for row in found["changed"]:
        told.append(f"{row['samples']:,} samples of {row['source']}: {row['a']} in A, {row['b']} in B")
        told.append(f"  for example {', '.join(row['examples'])}")
    return told or ["no difference"]
