"""`curate build`: from corpora to shards."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from workflows.answer import print_json, say

HELP = """Read corpora, decide about every sample, and write training shards.

Examples:

  curate build --stage mid --data corpora --out runs/mid

  curate build --stage align --data corpora --out runs/try --limit 1000 --dry-run

  curate build --stage mid --recipe my.yaml --data corpora --id-key site.key --out runs/hospital

  curate build --stage mid --data corpora --out runs/b --reuse runs/mid --set steps.tokens.max=2048

A build that was killed goes on where it stood when the same command is given again. Exit status: 0 done,
1 failed, 2 wrong usage or configuration, 4 more records failed than the recipe's budget.
"""


class Stage(StrEnum):
    """The phases of the curriculum."""

    ALIGN = "align"
    MID = "mid"
    INSTRUCT = "instruct"


class EngineName(StrEnum):
    """Where the steps run."""

    LOCAL = "local"
    RAY = "ray"


def build(
    stage: Annotated[Stage | None, typer.Option(help="The stage whose recipe to build.")] = None,
    recipe: Annotated[Path | None, typer.Option(help="A recipe of your own instead of the stage's.")] = None,
    data: Annotated[
        list[str] | None, typer.Option(help="A folder or URL that holds corpora. May be given several times.")
    ] = None,
    evals: Annotated[
        list[str] | None, typer.Option(help="A folder that holds eval sets (default: the --data folders).")
    ] = None,
    out: Annotated[str, typer.Option(help="The run directory or URL: new, or the one to resume.")] = "run",
    id_key: Annotated[Path | None, typer.Option(help="File with the site key for sources whose ids are keyed.")] = None,
    inventory: Annotated[
        Path | None, typer.Option(help="A table (path, size, etag) of a bucket, used instead of listing it.")
    ] = None,
    reuse: Annotated[list[str] | None, typer.Option(help="Another run whose finished work may be used.")] = None,
    engine: Annotated[
        EngineName | None, typer.Option(help="Where the steps run (default: local; ray where a cluster is named).")
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="An existing Ray cluster: auto, HOST:PORT or ray://HOST:PORT.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes (default: one per core).")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Take only the first N records of each source.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override one value of the recipe.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done and what it takes.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """See HELP, which is what `curate build --help` shows."""
    from pipelines.build import BuildOptions
    from pipelines.build import build as run_build
    from pipelines.engines.choice import chosen
    from pipelines.engines.local import default_workers
    from pipelines.errors import UsageError
    from pipelines.places import data_folders, folder_of
    from pipelines.recipe_file import load_recipe

    if stage is None and recipe is None:
        raise UsageError("say what to build: --stage or --recipe", "curate build --stage mid --data DIR --out RUN")
    options = BuildOptions(
        recipe=load_recipe(stage, recipe, settings or ()),
        data=data_folders(data or (".",), inventory),
        out=folder_of(out, "--out"),
        evals=tuple(folder_of(place, "--evals") for place in evals or ()),
        id_key=id_key,
        reuse=tuple(folder_of(place, "--reuse") for place in reuse or ()),
        workers=workers or default_workers(),
        engine=chosen(engine, address, workers),
        limit=limit,
    )
    if dry_run:
        from pipelines.forecast import forecast, forecast_lines

        plan = forecast(options)
        print_json(plan) if as_json else say("\n".join(forecast_lines(plan)))
        return
    answer = run_build(options)
    if as_json:
        print_json(answer)
    say("\n".join(summary(answer)))


build.__doc__ = HELP


def summary(answer: dict[str, Any]) -> list[str]:
    """What was built, in a few lines."""
    counts = answer["counts"]
    lines = [
        (
            f"{answer['stage']}: {counts['ingested']:,} samples ingested, {counts['kept']:,} kept, "
            f"{sum(counts['dropped'].values()):,} dropped, {counts['quarantined']:,} quarantined"
        ),
        *(f"  {reason:<20} {number:>9,} dropped" for reason, number in counts["dropped"].items()),
        *(
            f"  {name:<20} {row['kept']:>9,} of {row['ingested']:,} kept{_grouped(answer['groups'].get(name, {}))}"
            for name, row in answer["sources"].items()
        ),
        (
            f"{answer['shards']:,} shards with {answer['samples_written']:,} samples, "
            f"{answer['bytes_written'] / 1e6:,.1f} MB, in {answer['seconds']:,.1f} s: {answer['run']}/shards"
        ),
        _audited(answer),
        f"why a sample was kept or dropped: curate why {answer['run']} SAMPLE_ID",
    ]
    if "holdout" in answer:
        held = answer["holdout"]
        lines.insert(-2, f"  held out for validation: {held['samples']:,} samples, {held['groups']:,} groups")
    if not counts["kept"]:
        lines.insert(1, "warning: nothing was kept; the reasons below say why")
    return lines


def _grouped(shares: Mapping[str, float]) -> str:
    """The share of samples that have a group, by kind; of none, nothing."""
    return "".join(f", {kind} {share:.0%}" for kind, share in shares.items())


def _audited(answer: dict[str, Any]) -> str:
    if answer["audit"] == "not_run":
        return "audit: not_run (no eval set to protect: `decontaminate` in the recipe, --evals, `curate evals list`)"
    return f"audit: {answer['audit']} ({answer['run']}/shards/contamination.json)"
