"""The `curate` command. Each verb lives in a file of its own; heavy imports wait until one is called."""

import difflib
import re
import sys
from collections.abc import Sequence

import typer

from workflows.answer import fail
from workflows.audit import audit
from workflows.build import build
from workflows.clean import clean
from workflows.diff import diff
from workflows.doctor import doctor
from workflows.evals import evals
from workflows.label import label
from workflows.remove import remove
from workflows.shards import shards
from workflows.sources import sources
from workflows.train.command import train
from workflows.why import why

INTERRUPTED = 130

app = typer.Typer(
    name="curate",
    help="Turn biomedical corpora into training shards that can be vouched for.\n\n"
    "Exit status: 0 done, 1 the work failed, 2 wrong usage or configuration, 3 an audit found leaks, "
    "4 too many records failed, 130 interrupted (the same command goes on).",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(build)
app.command()(audit)
app.command()(why)
app.command()(diff)
app.command()(remove)
app.command()(clean)
app.add_typer(sources, name="sources")
app.add_typer(evals, name="evals")
app.add_typer(label, name="label")
app.add_typer(shards, name="shards")
app.add_typer(train, name="train")
app.command()(doctor)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and exit with its status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    sys.exit(run(given))


def run(arguments: Sequence[str]) -> int:
    """Run the command; every failure is one clear message, or one JSON object where `--json` was asked for."""
    as_json = "--json" in arguments
    if not arguments:
        app(args=["--help"], prog_name="curate", standalone_mode=False)
        return 2
    try:
        status = app(args=list(arguments), prog_name="curate", standalone_mode=False)
    except KeyboardInterrupt:
        status = INTERRUPTED
    except typer.TyperException as error:
        speak = getattr(error, "format_message", None)  # usage errors have it, their base class does not
        message = speak() if speak else str(error)
        context = getattr(error, "ctx", None)
        command = "curate" if context is None else context.command_path
        return fail(message, _nearest(message) or f"see `{command} --help`", 2, as_json)
    except Exception as error:  # noqa: BLE001 - whatever it is, the user gets one message without private values
        from pipelines.errors import presentable

        shown = presentable(error, "curate")
        return fail(shown.message, shown.hint, shown.status, as_json)
    if status == INTERRUPTED:
        return fail("interrupted", "the same command resumes", INTERRUPTED, as_json)
    return int(status or 0)


def _nearest(message: str) -> str:
    """What was meant by a value that is none of those allowed."""
    found = re.search(r"'([^']*)' is not one of (.*)", message)
    if found is None:
        return ""
    nearest = difflib.get_close_matches(found[1], re.findall(r"'([^']+)'", found[2]), 1, 0.4)
    return f"did you mean {nearest[0]!r}?" if nearest else ""


if __name__ == "__main__":
    main()
