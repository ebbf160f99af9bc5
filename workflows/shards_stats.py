"""`curate shards stats`: what is in the shards."""

from typing import Annotated, Any

import typer

from workflows.answer import print_json, say


def stats(
    directory: Annotated[str, typer.Argument(help="A run, or a folder (or URL) with manifest.json.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Count samples, tokens and pictures by source, modality, task, licence and access, and say how they are packed.

    Example: curate shards stats runs/mid/shards
    """
    from pipelines.places import folder_of
    from pipelines.replan import stats as stats_of

    answer = stats_of(folder_of(directory))
    if as_json:
        print_json(answer)
    say("\n".join(lines(answer)))


def lines(answer: dict[str, Any]) -> list[str]:
    """The answer for people."""
    packing = answer["packing"]
    packed = "no plan; `curate shards plan` makes one"
    if packing is not None:
        rows = f"{packing['rows_per_step']:,} rows of {packing['context']:,} tokens"
        packed = f"{packing['steps']:,} steps of {rows}, {packing['fill']:.1%} full, pictures included"
    rendered = f" ({answer['rendered_tokens']:,} as rendered, counted below)" if "rendered_tokens" in answer else ""
    tokens = f"{answer['tokens']:,} tokens of text{rendered}"
    written = f"{answer['samples']:,} samples, {tokens}, {answer['bytes'] / 1e6:,.1f} MB"
    told = [f"{answer['shards']:,} shards, {written}", f"packing: {packed}"]
    for name in ("source", "modality", "task", "license", "access"):
        for word, row in answer.get(f"by_{name}", {}).items():
            told.append(f"  {name:<9} {word:<24} {row['samples']:>9,} samples {row['tokens']:>12,} tokens")
    return told
