"""The `curate` command. Each verb lives in a file of its own; heavy imports wait until one is called."""

import sys
from collections.abc import Sequence

import typer

from workflows.answer import fail
from workflows.build import build
from workflows.clean import clean
from workflows.diff import diff
from workflows.doctor import doctor
from workflows.shards import shards
from workflows.sources import sources
from workflows.why import why

app = typer.Typer(
    name="curate",
    help="Turn biomedical corpora into training shards that can be vouched for.\n\n"
    "Exit status: 0 done, 1 the work failed, 2 wrong usage or configuration, 4 too many records failed.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(build)
app.command()(why)
app.command()(diff)
app.command()(clean)
app.add_typer(sources, name="sources")
app.add_typer(shards, name="shards")
app.command()(doctor)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and exit with its status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    sys.exit(run(given))


def run(arguments: Sequence[str]) -> int:
    """Run the command; every failure is one clear message, or one JSON object where `--json` was asked for."""
    as_json = "--json" in arguments
    try:
        status = app(args=list(arguments), prog_name="curate", standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        return fail("interrupted", "the same command resumes", 130, as_json)
    except typer.TyperException as error:
        speak = getattr(error, "format_message", None)  # usage errors have it, their base class does not
        return fail(speak() if speak else str(error), "see `curate --help`", 2, as_json)
    except OSError as error:
        return fail(_os_message(error), "repair the cause, then run the same command again", 1, as_json)
    except Exception as error:
        from pipelines.errors import CurateError

        if not isinstance(error, CurateError):
            raise
        return fail(error.message, error.hint, error.status, as_json)
    return int(status or 0)


def _os_message(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or error}"


if __name__ == "__main__":
    main()
