"""A folder of pictures with a name on them, as it comes to the step that looks for such."""

from pathlib import Path

import cv2
import numpy as np
import orjson
from PIL import Image

from pipelines.graph import graph_of
from pipelines.ingest import IngestTask
from pipelines.recipe import Recipe, SourceEntry
from pipelines.session import Session
from pipelines.view import View, rows_table
from pipelines.work import Work
from sources.storage import LocalFolder
from tests.pipelines.in_process import flow_of
from tests.sources.corpora import corpus_in, planned


class Ward:
    """A folder of pictures and a file of records about them."""

    def __init__(self, folder: Path, sides: list[int]) -> None:
        self.folder, self.number = folder / "data", 0
        self.folder.mkdir()
        steps = {"measure": {"min_side_px": 1}, "phi": {"sources": "all"}}
        self.recipe = Recipe(stage="align", sources=(SourceEntry(name="test"),), steps=steps)
        self.work = Work(LocalFolder(folder / "run"))
        for side in sides:
            self.add(side)

    def add(self, side: int) -> None:
        name = f"{self.number}.png"
        self.picture(name, side)
        row = {"id": str(self.number), "text": f"Film number {self.number}.", "file": name}
        with (self.folder / "all.jsonl").open("ab") as file:
            file.write(orjson.dumps(row) + b"\n")
        self.number += 1

    def picture(self, name: str, side: int) -> None:
        pixels = np.random.default_rng(side).integers(0, 99, (side, side), np.uint8)
        cv2.putText(pixels, "JOHN SMITH", (4, 40), cv2.FONT_HERSHEY_SIMPLEX, 0.7, 255, 2)
        Image.fromarray(pixels).save(self.folder / name)

    def measured(self, alive: list[int]) -> tuple[Session, View]:
        """The fragment as it comes to the step, where these samples are still kept."""
        corpus = corpus_in(
            self.folder, "jsonl", "*.jsonl", fields={"id": "id", "text": "text", "image": "file"}, task="caption",
            images=".", license="MIT",
        )  # fmt: skip
        session = Session(self.recipe, (corpus,), self.work, (None,))
        flow, graph = flow_of(session), graph_of(self.recipe)
        flow.ingest([IngestTask(0, fragment, number) for number, fragment in enumerate(planned(corpus))])
        flow.exchange(graph.identity, (), "ids")
        flow.pictures(graph.pictures)
        (view,) = flow.views
        kept = self.work.put("tokens", repr(alive), {"alive": rows_table(np.array(alive, np.int32))})
        return session, view.with_parts(**kept.parts)
