"""`curate why`: every verdict on one sample, in words."""

from pathlib import Path
from typing import Annotated, Any

import typer

from workflows.answer import print_json, say

MARKS = {"keep": "kept", "edit": "edited", "drop": "DROPPED", "quarantine": "QUARANTINED"}
DIFFERENCE = {"equal": "{}", "delete": "[-{}-]", "insert": "{{+{}+}}"}


def why(
    run: Annotated[str, typer.Argument(help="A finished run: a folder or a URL.")],
    sample_id: Annotated[str, typer.Argument(help="A sample id (32 hex digits) or a source key (file#record).")],
    id_key: Annotated[Path | None, typer.Option(help="The site key, to name samples of keyed sources.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Say why a sample was kept, dropped or quarantined, step by step, with the evidence.

    Example: curate why runs/mid "data/trainset.json#17"
    """
    from pipelines.places import folder_of
    from pipelines.why import explain

    found = explain(folder_of(run), sample_id, id_key)
    if as_json:
        print_json({**found[0], "others": found[1:]})
        return
    for sample in found:
        say("\n".join(lines(sample)))


def lines(sample: dict[str, Any]) -> list[str]:
    """The answer for people."""
    told = [
        f"sample {sample['sample_id']}: {MARKS[sample['verdict']]}"
        + (f" ({sample['reason']})" if sample["reason"] else ""),
        (
            f"  source {sample['source']}, {sample['source_key']}; task {sample['task']}; "
            f"license {sample['license']}, {sample['access']}"
        ),
    ]
    if sample["removed"] and sample["reason"] != "removed.takedown":
        told.append("  it was taken down later: what it said is blanked")
    told += [f"  {group['kind']} {group['id']}" for group in sample["groups"] or ()]
    told += [_picture(image) for image in sample["images"]]
    for verdict in sample["verdicts"]:
        told.append(f"  {verdict['step']:<10} {MARKS[verdict['verdict']]:<12} {verdict['words']}")
        told += [f"  {'':<10} {'':<12}   {name}: {value}" for name, value in verdict["evidence"].items()]
    if sample["kept"] is not None:
        told += _beside(sample["kept"])
    return told


def _beside(kept: dict[str, Any]) -> list[str]:
    """The kept sample, and the difference: [-of the dropped one-] {+of the kept one+}."""
    marked = [DIFFERENCE[what].format(words) for what, words in kept["difference"]]
    pictures = [f"    picture {image['image_id']}: {image['uri']}" for image in kept["images"] or ()]
    place = f"  kept in its place: {kept['sample_id']}, source {kept['source']}, {kept['source_key']}"
    return [place, *pictures, f"    {' '.join(marked)}"]


def _picture(image: dict[str, Any]) -> str:
    if "width" not in image:
        return f"  picture {image['uri']}: not decoded"
    return (
        f"  picture {image['image_id']}: {image['width']} x {image['height']}, {image['bit_depth']} bit "
        f"{image['format']}, {image['modality']}, {image['uri']} frame {image['frame'] or 0}"
    )
