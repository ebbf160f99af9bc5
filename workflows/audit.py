"""`curate audit`: which eval items are in the data, with the evidence."""

from pathlib import Path
from typing import Annotated, Any

import typer

from workflows.answer import print_json, say
from workflows.audit_checks import audit_checkpoint, checkpoint_in, key_in, refuse_for_checkpoints, verify_audit
from workflows.build import EngineName

HELP = """Search data for the items of eval sets, and give a verdict.

Examples:

  curate audit runs/mid --against medgpt-oss --evals evals

  curate audit llava_med.json --against medqa --against vqa_rad --evals evals

  curate audit s3://bucket/shards --against my_benchmark/ --out audits/shards

  curate audit notes.csv --against medqa --fields fields.yaml --accept accepted.yaml --json

  curate audit runs/mid --against medqa --out audits/mid --public --sign key.pem

  curate audit runs/mid --against medqa --out audits/mid --verify --key public.pem

  curate audit checkpoints/final

DATA is a run, shards, or a file or folder of tars, LLaVA-style JSON, JSON Lines, Parquet, CSV, pictures, or a saved
Hugging Face data set. EVAL is a registered name or suite (`curate evals list`), or a folder with an evalset.yaml. All
that are named must be there. An audit that was killed goes on when the same command is given again. With --verify
nothing is searched: data, eval sets and the files of the audit in --out are compared with what the audit was of. A
folder with a lineage.json is a checkpoint: the audits of all its stages are read again and compared by hash, and of
the options only --out and --json mean anything.

Exit status: 0 clean, 3 leaks at or above --fail-on, 1 incomplete, insensitive or failed, 2 wrong usage.
"""


def audit(
    data: Annotated[list[str], typer.Argument(help="What to look through: files, folders or URLs.")],
    against: Annotated[
        list[str] | None, typer.Option(help="An eval set to protect. May be given several times.")
    ] = None,
    evals: Annotated[
        list[str] | None,
        typer.Option(help="A folder that holds eval sets (default: the current one). May be given several times."),
    ] = None,
    fields: Annotated[Path | None, typer.Option(help="A YAML map: which column of the data is what.")] = None,
    out: Annotated[
        str | None, typer.Option(help="Where the audit goes (default: audit-NAME in the current folder).")
    ] = None,
    fail_on: Annotated[str | None, typer.Option(help="The weakest grade that is a leak (default: near_text).")] = None,
    accept: Annotated[Path | None, typer.Option(help="A review file: which findings were accepted, and why.")] = None,
    min_recall: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="Recall of probes below which an audit is insensitive.")
    ] = None,
    articles: Annotated[
        str | None, typer.Option(help="NCBI's PMC-ids.csv: articles are found by PMID and by PMCID.")
    ] = None,
    probes: Annotated[str | None, typer.Option(help="A folder with a probes.jsonl: probes of others.")] = None,
    calibrate: Annotated[
        int | None, typer.Option(min=1, help="Plant at most so many pictures, and texts, in each transform.")
    ] = None,
    no_calibrate: Annotated[bool, typer.Option("--no-calibrate", help="Plant no probes of our own.")] = False,
    id_key: Annotated[Path | None, typer.Option(help="File with the site key: what identifies is keyed.")] = None,
    public: Annotated[bool, typer.Option("--public", help="Also write a page for outsiders, without content.")] = False,
    sign: Annotated[Path | None, typer.Option(help="PEM file: the private key that signs the statement.")] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Check that nothing was swapped since the audit.")] = False,
    key: Annotated[Path | None, typer.Option(help="PEM file: the public key that must have signed.")] = None,
    engine: Annotated[EngineName | None, typer.Option(help="Where the work runs.")] = None,
    address: Annotated[str | None, typer.Option(help="An existing Ray cluster.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes (default: one per core).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> int:
    """See HELP, which is what `curate audit --help` shows."""
    from pipelines.audit.fields import read_fields
    from pipelines.audit.names import names_for
    from pipelines.audit.review import read_review
    from pipelines.audit.run import AuditOptions
    from pipelines.audit.run import audit as run_audit
    from pipelines.engines.choice import chosen
    from pipelines.engines.local import default_workers
    from pipelines.places import folder_of

    checkpoint = checkpoint_in(data)
    if checkpoint is not None:
        given = {
            "--against": against, "--evals": evals, "--fields": fields, "--fail-on": fail_on, "--accept": accept,
            "--min-recall": min_recall, "--probes": probes, "--calibrate": calibrate, "--no-calibrate": no_calibrate,
            "--id-key": id_key, "--public": public, "--sign": sign, "--verify": verify, "--key": key,
        }  # fmt: skip
        refuse_for_checkpoints(checkpoint, [name for name, value in given.items() if value not in (None, False)])
        return audit_checkpoint(checkpoint, out, as_json=as_json)
    options = AuditOptions(
        data=tuple(data),
        settings=_settings(
            against or [], fail_on or "near_text", min_recall, 0 if no_calibrate else calibrate, articles
        ),
        evals=tuple(folder_of(place, "--evals") for place in evals or (".",)),
        out=folder_of(out or f"audit-{names_for(data, keyed=id_key is not None)[0]}", "--out"),
        fields=None if fields is None else read_fields(fields),
        review=None if accept is None else read_review(accept),
        id_key=id_key,
        probes=None if probes is None else folder_of(probes, "--probes"),
        public=public,
        sign=None if sign is None else key_in(sign),
        workers=workers or default_workers(),
        engine=chosen(engine, address, workers),
    )
    if verify:
        return verify_audit(options, key, as_json=as_json)
    answer = run_audit(options)
    status = int(answer.pop("status"))
    if as_json:
        print_json(answer)
    say("\n".join(summary(answer)))
    return status


audit.__doc__ = HELP


def summary(answer: dict[str, Any]) -> list[str]:
    """The verdict first, then why, then each eval set."""
    lines = [f"verdict: {answer['verdict']}", *(f"  {reason}" for reason in answer["reasons"])]
    for name, one in answer["eval_sets"].items():
        grades = ", ".join(f"{grade} {count:,}" for grade, count in one["by_grade"].items()) or "nothing found"
        lines.append(f"  {name:<24} {one['leaked_items']:>7,} of {one['items']:,} items leaked ({grades})")
    others = (sentence for sentence in answer["not_covered"] if sentence not in answer["reasons"])
    lines += [f"  not covered: {sentence}" for sentence in others]
    accepted = answer["accepted"]
    if accepted is not None:
        lines += [f"  warning: the review accepts {name}, which was not found" for name in accepted["unknown"]]
        if accepted["expired"]:
            lines.append(f"  warning: the review expired after {accepted['until']}: nothing of it is accepted")
        lines.append(f"  accepted: {len(accepted['findings']):,} findings ({accepted['reason']})")
    lines.append(f"findings: {answer['findings_table']}")
    if answer["report"] is not None:
        lines.append(f"report: {answer['report']}")
    return lines


def _settings(
    against: list[str], fail_on: str, min_recall: float | None, probes: int | None, articles: str | None
) -> Any:
    import difflib

    from dedup.decontamination.calibration.settings import CalibrationSettings
    from dedup.decontamination.grades import REMOVING, Grade
    from pipelines.audit.settings import DecontaminateSettings
    from pipelines.errors import UsageError

    if not against:
        raise UsageError("no eval set is named", "--against NAME; `curate evals list` has them")
    names = [grade.value for grade in REMOVING]
    if fail_on not in names:
        nearest = difflib.get_close_matches(fail_on, names, 1, 0.4)
        hint = f"did you mean {nearest[0]!r}?" if nearest else f"grades, strongest first: {', '.join(names)}"
        raise UsageError(f"--fail-on {fail_on}: no grade that is a leak", hint)
    planted = CalibrationSettings(enabled=probes != 0)
    if probes:
        planted = CalibrationSettings(pictures=probes, texts=probes)
    settings = DecontaminateSettings(
        against=tuple(against), fail_on=Grade(fail_on), calibrate=planted, articles=articles
    )
    return settings if min_recall is None else settings.model_copy(update={"min_recall": min_recall})
