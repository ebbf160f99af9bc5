"""`curate shards plan`: another packing plan for shards that are written."""

from typing import Annotated

import typer

from workflows.answer import print_json, say


def plan(
    directory: Annotated[str, typer.Argument(help="A run, or a folder (or URL) with manifest.json and index.arrow.")],
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Another value for one setting of the plan.")
    ] = None,
    out: Annotated[str, typer.Option(help="The plan's file name beside the shards.")] = "plan.arrow",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Plan anew which samples are trained on, how often, and in which rows and steps. No shard is touched.

    Settings: context, rows_per_step, epochs, seed, temperature, max_repeats, cut, weights.source.NAME,
    weights.modality.NAME, weights.task.NAME, caps.SOURCE, token_caps.SOURCE, images.policy (fixed, tiles). What
    is not given stays as in the plan that is there. A build that is run again makes plan.arrow as its recipe says:
    --out keeps a plan apart from it.

    Example: curate shards plan runs/mid --set context=32768 --set weights.source.slake=2 --out plan-32k.arrow
    """
    from pipelines.places import folder_of
    from pipelines.replan import opened, packing_of, replan, run_of
    from shards.plan_file import PLAN_NAME

    folder = folder_of(directory)
    about = replan(folder, settings or (), out)
    if as_json:
        print_json({"plan": out, **packing_of(about)})
    say(
        f"{out}: {about.steps:,} steps of {about.rows_per_step:,} rows of {about.context:,} tokens, {about.epochs:,} "
        f"epoch{'s' if about.epochs > 1 else ''}; {about.samples:,} samples, {about.tokens:,} tokens, "
        f"{about.fill:.1%} full"
    )
    balance = about.balance
    say(f"cost of a step's dearest row over its mean row: {balance.after:.3f} ({balance.before:.3f} in random order)")
    if out == PLAN_NAME and run_of(folder, opened(folder).folder) is not None:
        say("a build that is run again writes it anew, as its recipe says: to keep this one, --out NAME.arrow")
    for reason, count in about.excluded.items():
        say(f"  {reason:<24} {count:>9,} samples are in no row")
    if about.clipped:
        most = about.mixture.max_repeats
        say(
            f"  {about.clipped:,} samples are to be used more than {most} times an epoch and are not: raise max_repeats"
        )
    if about.padding_rows:
        say(f"  {about.padding_rows:,} rows repeat documents: the last step of an epoch has fewer documents than rows")
