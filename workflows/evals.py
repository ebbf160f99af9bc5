"""`curate evals`: the registry of eval sets."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workflows.answer import print_json, say

if TYPE_CHECKING:
    from dedup.evalsets.locating import FoundSet

evals = typer.Typer(help="The registry of eval sets.", no_args_is_help=True, rich_markup_mode=None)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]


@evals.command("list")
def list_evals(
    suite: Annotated[str, typer.Option(help="Only those of medgpt-oss, lingshu, medgemma or all.")] = "all",
    as_json: Json = False,
) -> None:
    """Name every eval set the registry knows.

    Example: curate evals list --suite lingshu
    """
    from dedup.evalsets.registry import expanded, registry

    with _refusing():
        cards = [registry()[name] for name in expanded([suite])]
    if as_json:
        print_json({"eval_sets": [_row(card.name) for card in cards]})
        return
    for card in cards:
        items = "?" if card.expected.items is None else str(card.expected.items)
        split = "+".join(card.split) or "all"
        say(f"{card.name:<22} {card.task:<9} {items:>6} of {split:<20} {card.access:<14} {', '.join(card.suites)}")


@evals.command()
def show(name: Annotated[str, typer.Argument(help="A name of the registry.")], as_json: Json = False) -> None:
    """Show an eval set's card: where it comes from, which split is judged, how its files are read, its traps.

    Example: curate evals show vqa_rad
    """
    import yaml

    from dedup.evalsets.registry import known

    with _refusing():
        card = known(name).model_dump(mode="json", exclude_defaults=True)
    if as_json:
        print_json(card)
    else:
        say(yaml.safe_dump(card, sort_keys=False, allow_unicode=True, width=100).rstrip())


@evals.command()
def check(
    name: Annotated[str, typer.Argument(help="A name of the registry, or a folder with evalset.yaml.")],
    evals: Annotated[list[str] | None, typer.Option(help="A folder or URL that holds eval sets.")] = None,
    id_key: Annotated[Path | None, typer.Option(help="The site key, for keyed sets.")] = None,
    as_json: Json = False,
) -> None:
    """Read an eval set whole and say what is in it, with three items, and what is not as its card says.

    Exit status 1 where records cannot be read, or the items are not those that were fetched.

    Example: curate evals check vqa_rad --evals evals
    """
    from dedup.evalsets.checking import check as look
    from dedup.evalsets.checking import check_lines

    with _refusing():
        found = look(_found(name, evals or (), id_key))
    print_json(found) if as_json else say("\n".join(check_lines(found)))
    raise typer.Exit(1 if found["problems"] or found["content_as_fetched"] is False else 0)


@evals.command()
def fetch(
    names: Annotated[list[str], typer.Argument(help="Names of the registry, or of suites.")],
    evals: Annotated[str, typer.Option(help="The folder to put them in: DIR/NAME.")] = "evals",
    as_json: Json = False,
) -> None:
    """Download open eval sets from the Hugging Face hub, each at one commit; for others, say where to sign.

    Exit status 1 where one that is open could not be had. The same command goes on where it stopped.

    Example: curate evals fetch medqa vqa_rad --evals evals
    """
    from dedup.evalsets.fetching import fetch as download
    from dedup.evalsets.fetching import must_be_signed_for
    from dedup.evalsets.registry import EvalSetError, expanded, registry
    from pipelines.errors import UsageError
    from pipelines.places import folder_of
    from sources.storage import LocalFolder

    place = folder_of(evals, "--evals")
    if not isinstance(place, LocalFolder):
        raise UsageError(f"--evals {evals}: eval sets are fetched to a folder of this machine", "copy them from there")
    with _refusing():
        cards = [registry()[name] for name in expanded(names)]
    answer: dict[str, list[dict[str, Any]]] = {"fetched": [], "sign": [], "failed": []}
    for card in cards:
        if must_be_signed_for(card):
            answer["sign"].append({"name": card.name, "home": card.home, "how": card.fetch})
            say(f"{card.name}: not to be fetched by a program. {card.fetch} See {card.home}")
            continue
        try:
            made = download(card, place, say)
        except EvalSetError as error:
            answer["failed"].append({"name": card.name, "error": error.message, "hint": error.hint})
            say(f"{error.message}\n  {error.hint}")
        else:
            answer["fetched"].append(made.__dict__)
            say(f"{card.name}: {made.items} items in {made.place}, {made.revision}")
    if as_json:
        print_json(answer)
    raise typer.Exit(1 if answer["failed"] else 0)


def _row(name: str) -> dict[str, Any]:
    from dedup.evalsets.registry import registry

    card = registry()[name]
    return {
        "name": card.name,
        "task": card.task,
        "items": card.expected.items,
        "images": card.expected.images,
        "split": list(card.split),
        "license": card.license,
        "access": card.access,
        "suites": list(card.suites),
        "groups": list(card.groups),
        "made_from": list(card.made_from),
        "hub": card.hub.repo if card.hub else None,
    }


def _found(name: str, places: "list[str] | tuple[str, ...]", id_key: Path | None) -> "FoundSet":
    from dedup.evalsets.locating import evalset_in, find_evalset
    from dedup.evalsets.registry import known, registry
    from pipelines.errors import UsageError
    from pipelines.places import folder_of
    from pipelines.sources import read_key

    roots = [folder_of(place, "--evals") for place in places]
    if name in registry() or not ("/" in name or folder_of(name).exists()):
        card = known(name)
        if not roots:
            raise UsageError(f"{name}: no folder to look in", "pass the one that holds eval sets with --evals")
        found = find_evalset(card, roots)
        where = ", ".join(root.place for root in roots)
        hint = card.fetch if card.hub is None else f"`curate evals fetch {name}` gets it. {card.fetch}"
    else:
        found, where, hint = evalset_in(folder_of(name)), name, "check `path` in its evalset.yaml"
    if found is None:
        raise UsageError(f"{name}: no files of it under {where}", hint)
    return found.keyed_under(read_key(name, id_key)) if found.corpus.card.keyed else found


@contextmanager
def _refusing() -> Iterator[None]:
    """What the registry objects to is wrong usage.

    Raises:
        UsageError: instead of EvalSetError.
    """
    from dedup.evalsets.registry import EvalSetError
    from pipelines.errors import UsageError

    try:
        yield
    except EvalSetError as error:
        raise UsageError(error.message, error.hint) from None
