"""`curate sources`: the catalogue of corpora."""

from pathlib import Path
from typing import Annotated

import typer

from workflows.answer import print_json, say

sources = typer.Typer(help="The catalogue of corpora.", no_args_is_help=True, rich_markup_mode=None)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]


@sources.command("list")
def list_sources(as_json: Json = False) -> None:
    """Name every corpus the catalogue knows.

    Example: curate sources list
    """
    from sources.cards import catalogue

    cards = catalogue().values()
    if as_json:
        rows = [
            {"name": card.name, "task": card.task, "license": card.license, "access": card.access,
             "groups": list(card.groups)}
            for card in cards
        ]  # fmt: skip
        print_json({"sources": rows})
        return
    for card in cards:
        say(f"{card.name:<24} {card.task:<9} {card.access:<14} {card.license:<24} {', '.join(card.groups)}")


@sources.command()
def show(name: Annotated[str, typer.Argument(help="A name of the catalogue.")], as_json: Json = False) -> None:
    """Show a corpus's card: where it comes from, under which terms, how its files are read.

    Example: curate sources show vqa_rad
    """
    import yaml

    from pipelines.sources import known_card

    card = known_card(name).model_dump(mode="json", exclude_defaults=True)
    if as_json:
        print_json(card)
    else:
        say(yaml.safe_dump(card, sort_keys=False, allow_unicode=True, width=100).rstrip())


@sources.command()
def check(
    name: Annotated[str, typer.Argument(help="A name of the catalogue.")],
    data: Annotated[list[str], typer.Option(help="A folder or URL that holds the corpus.")],
    id_key: Annotated[Path | None, typer.Option(help="The site key, for keyed sources.")] = None,
    as_json: Json = False,
) -> None:
    """Read a few hundred records of a corpus and say what was found, with three samples.

    Exit status 1 where records or pictures are not as the card says.

    Example: curate sources check vqa_rad --data corpora
    """
    from pipelines.check_source import check_lines, check_source
    from pipelines.places import data_folder

    found = check_source(name, [data_folder(place) for place in data], id_key)
    print_json(found) if as_json else say("\n".join(check_lines(found)))
    raise typer.Exit(1 if found["problems"] else 0)
