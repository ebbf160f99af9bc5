"""The weights of a stage in the form everyone reads, loaded back and compared."""

import shutil
from pathlib import Path

from pipelines.errors import CurateError
from workflows.train.checkpoint import FileFacts, facts_of, unwritten_told
from workflows.train.engine import Engine
from workflows.train.init import write_description
from workflows.train.job import ADMISSION, EXPORT, EXPORTING, Job
from workflows.train.lineage import write_lineage
from workflows.train.ranks import Ranks
from workflows.train.weights import differences, save_model

COPIED = ("bases.json", "tokenizer.json", "tokenizer_config.json", "processor_config.json", "chat_template.jinja")


def export(job: Job, ranks: Ranks, engine: Engine) -> Path:
    """Gather the weights in bf16, write them beside processor and tokenizer, and read them back.

    Raises:
        CurateError: what was written is not what was trained.
    """
    state = engine.deepspeed._zero3_consolidated_16bit_state_dict()  # noqa: SLF001 - what save_16bit_model calls
    place = job.out / EXPORT
    if ranks.first:
        writing = job.out / EXPORTING
        shutil.rmtree(writing, ignore_errors=True)
        writing.mkdir(parents=True)
        with unwritten_told(job.out, "the export"):
            save_model(engine.model, state, writing)
        for name in COPIED:
            if (job.start / name).is_file():
                shutil.copy(job.start / name, writing / name)
        write_description(job.model, writing)
        wrong = differences(state, writing)
        if wrong:
            raise CurateError(f"{writing}: {len(wrong)} tensors are not those trained ({wrong[0]})", "save it again")
        files: dict[str, FileFacts] = facts_of(writing, [path for path in writing.iterdir() if path.is_file()])
        weights = {name: facts.sha256 for name, facts in files.items() if name.endswith(".safetensors")}
        write_lineage(job.out / ADMISSION, writing, weights)
        shutil.rmtree(place, ignore_errors=True)
        writing.rename(place)
    ranks.wait()
    return place
