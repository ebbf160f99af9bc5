"""`curate label`: train and measure what tells pictures of one modality from another."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from workflows.answer import print_json, say

label = typer.Typer(help="Modality labels: train a head, measure a model.", no_args_is_help=True, rich_markup_mode=None)

Data = Annotated[list[str], typer.Argument(help="Folders (or URLs) with manifest.csv or one folder a label.")]
Model = Annotated[Literal["efficientnet-lite0", "biomedclip"], typer.Option(help="Whose features.")]
Files = Annotated[str | None, typer.Option("--path", help="BiomedCLIP's directory, or hf-hub:OWNER/NAME@COMMIT.")]
Sha = Annotated[str | None, typer.Option(help="The sha256 of BiomedCLIP's weights file.")]
Mapped = Annotated[list[str] | None, typer.Option("--map", help="A word of the data and our label: WORD=LABEL.")]
Together = Annotated[list[str] | None, typer.Option(help="Data sets that share pictures count as one: A=NAME, B=NAME.")]
Head = Annotated[
    Path | None,
    typer.Option(help="A head of `curate label fit` (default: the shipped one; of BiomedCLIP none, but its prompts)."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]


@label.callback()
def group() -> None:
    """Train and measure what tells pictures of one modality from another."""


@label.command()
def fit(
    data: Data,
    out: Annotated[Path, typer.Option(help="Where the head goes (.npz).")],
    model: Model = "efficientnet-lite0",
    path: Files = None,
    sha256: Sha = None,
    mapped: Mapped = None,
    together: Together = None,
    as_json: Json = False,
) -> None:
    """Train a head on labelled pictures, and measure it on data sets it has not seen.

    Example: curate label fit labelled/ --out head.npz
    """
    from dataclasses import replace

    from filters.modality import CONFIDENCE
    from filters.modality_fit import fit_head, unseen
    from pipelines.errors import UsageError
    from pipelines.labelled import collected
    from pipelines.labellers import looker

    if not out.parent.is_dir() or out.is_dir():
        raise UsageError(f"--out {out}: its folder is not there", "make the folder, and name a file in it")
    looking = looker(model, path, sha256)
    network = looking.network
    found = collected(data, _pairs(mapped), looking.look, _pairs(together), _progress, least=2)
    if len(set(found.labels)) < 2:
        raise UsageError("pictures of one label only could be decoded", "a head tells at least two labels apart")
    head = fit_head(found.features, found.labels, found.datasets, network)
    measured = unseen(found.features, found.labels, found.datasets, network, CONFIDENCE, len(found.labels)).report()
    head = replace(head, recipe={**head.recipe, "unseen": measured, "left_out": dict(found.left_out)})
    unfinished = out.with_name(f".{out.name}.{os.getpid()}")
    unfinished.write_bytes(head.to_bytes())
    unfinished.replace(out)
    answer = {"head": str(out), "network": network, "pictures": len(found.labels), "unseen": measured}
    print_json(answer) if as_json else say(
        "\n".join([f"{out}: a head of {len(found.labels)} pictures", *_lines(measured), *_left_out(found.left_out)])
    )


@label.command("eval")
def evaluate(
    data: Data,
    model: Model = "efficientnet-lite0",
    head: Head = None,
    path: Files = None,
    sha256: Sha = None,
    also: Annotated[list[str] | None, typer.Option(help="More pictures, to learn from and not to be judged.")] = None,
    confidence: Annotated[float | None, typer.Option(help="Probability below which the answer is unknown.")] = None,
    mapped: Mapped = None,
    together: Together = None,
    as_json: Json = False,
) -> None:
    """Print the confusion matrix of a model on labelled pictures.

    `given`: of the head as it is, or of BiomedCLIP's prompts (zero-shot) where it has none. `unseen`: each data set
    judged by a head fitted on the others (not of prompts: nothing is fitted), beside the nearest neighbour by the same
    features and by thumbnails.

    Example: curate label eval labelled/

    Example: curate label eval labelled/ --model biomedclip --path DIR --sha256 HASH
    """
    from filters.modality import CONFIDENCE
    from pipelines.errors import UsageError
    from pipelines.labelled import collected
    from pipelines.labellers import head_for, looker, measured

    limit = CONFIDENCE if confidence is None else confidence
    if not 0 < limit < 1:
        raise UsageError("--confidence: no probability between 0 and 1", "the build's default is 0.49")
    looking = looker(model, path, sha256)
    chosen = head_for(looking, head)
    found = collected(data, _pairs(mapped), looking.look, _pairs(together), _progress)
    judged = len(found.labels)
    if also:
        found = found.with_more(collected(also, _pairs(mapped), looking.look, _pairs(together), _progress))
    answer = measured(looking, chosen, found, limit, judged)
    print_json(answer) if as_json else say("\n".join(_told(answer)))


def _told(answer: Mapping[str, Any]) -> list[str]:
    """What `eval` answers, in words."""
    lines = []
    for name in ("given", "unseen", "nearest", "thumbnails"):
        lines.append(f"{name}:")
        lines += [_BY_PROMPTS[name]] if answer["judged_by"] == "prompts" and name in _BY_PROMPTS else []
        lines += [] if answer[name] is None else _lines(answer[name])
    return lines + _left_out(answer["left_out"])


_BY_PROMPTS = {
    "given": "  by the prompts that a build uses where it has no head (zero-shot)",
    "unseen": "  not measured: nothing is fitted, so no data set is left out in turn; `given` is of all of them",
}


def _lines(report: dict[str, Any]) -> list[str]:
    """A report in words."""
    if not report["pictures"]:
        return ["  nothing to measure: no modality is in two data sets"]
    answers = f"of answers {report['balanced_accuracy_of_answers']}, unknown {report['unknown']}"
    lines = [f"  {report['pictures']} pictures, balanced accuracy {report['balanced_accuracy']}, {answers}"]
    for name, row in report["modalities"].items():
        answers = ", ".join(f"{found} {number}" for found, number in report["confusion"][name].items())
        lines.append(f"  {name:<15} {row['pictures']:>5}  accuracy {row['accuracy']}: {answers}")
    return lines


def _left_out(numbers: Mapping[str, int]) -> list[str]:
    """What was not judged: at most one line."""
    from pipelines.labelled import MISSING, UNDECODABLE

    named = {what: numbers.get(what, 0) for what in (UNDECODABLE, MISSING)}
    unknown = {"whose folder or word is no label": sum(numbers.values()) - sum(named.values())}
    told = [f"{count} {what}" for what, count in {**named, **unknown}.items() if count]
    return [f"left out: {', '.join(told)}"] if told else []


def _pairs(given: list[str] | None) -> dict[str, str]:
    from pipelines.errors import UsageError

    pairs = [one.partition("=") for one in given or ()]
    for before, equals, after in pairs:
        if not (before and equals and after):
            raise UsageError(f"{before}{equals}{after}: not of the form A=B", "see `curate label eval --help`")
    return {before: after for before, _, after in pairs}


def _progress(done: int, total: int) -> None:
    if done == total or done % 500 == 0:
        say(f"looked at {done:,} of {total:,} pictures")
