"""Samples with pictures in a folder, and the step that drops near-duplicates among them, in this process."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import orjson
import polars as pl

from dedup.images import NearImage
from pipelines.graph import graph_of
from pipelines.ingest import IngestTask
from pipelines.near.flow import drop_near
from pipelines.recipe import Recipe, SourceEntry
from pipelines.session import Session
from pipelines.work import Commit, Work
from sources.storage import LocalFolder
from tests.pipelines.in_process import flow_of
from tests.sources.corpora import corpus_in, planned

Picture = np.ndarray[Any, np.dtype[np.uint8]]
WORDS = {
    "brain": "Axial section at the level of the third ventricle with a ring enhancing lesion in the frontal lobe",
    "lecture": "Slide of the lecture on tumours of childhood as it was shown to students in the spring term",
    "wound": "Photograph of the wound on the day after surgery before the dressing was changed once more",
}


def noise(seed: int, side: int) -> Picture:
    """A picture with structure at every scale: no two seeds are alike."""
    chance = np.random.default_rng(seed)
    layers = [cv2.resize(chance.normal(size=(n, n)), (side, side), interpolation=cv2.INTER_CUBIC) for n in (5, 11, 40)]
    return cv2.normalize(sum(layers), np.zeros(0), 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


class Pictured:
    """A folder of pictures and of files of records, each of which is a fragment; `ran` are the commits by stage."""

    def __init__(self, root: Path, method: str = "verified", distance: int = 0) -> None:
        self.root = root
        settings = {"near_image": {"method": method, "distance": distance}}
        self.recipe = Recipe(stage="align", sources=(SourceEntry(name="test"),), steps=settings)
        self.ran: dict[str, list[Commit]] = {}

    def picture(self, name: str, picture: Picture, quality: int | None = None) -> str:
        """Write a picture: as JPEG of a quality, or as PNG."""
        file = f"{name}.png" if quality is None else f"{name}.jpg"
        cv2.imwrite(str(self.root / file), picture, [] if quality is None else [cv2.IMWRITE_JPEG_QUALITY, quality])
        return file

    def records(self, file: str, records: Sequence[tuple[str, str, str]]) -> None:
        """Write a file of records: id, text, picture."""
        rows = [{"id": name, "text": text, "file": picture} for name, text, picture in records]
        (self.root / f"{file}.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))

    def said(
        self, run: str = "run", gone: Sequence[str] = (), changed: Mapping[str, bytes] | None = None
    ) -> dict[str, dict[str, Any]]:
        """What near_image says of each record, by its id; `run` holds the work.

        The pictures `gone` vanish before it, those `changed` become others.
        """
        fields = {"id": "id", "text": "text", "image": "file"}
        corpus = corpus_in(self.root, "jsonl", "*.jsonl", fields=fields, task="caption", images=".", license="MIT")
        work = Work(LocalFolder(self.root.parent / run))
        session = Session(self.recipe, (corpus,), work, (None,))
        flow, graph, self.ran = flow_of(session), graph_of(self.recipe), {}
        given = flow.engine.run

        def run_and_tell(tasks: Any) -> Any:
            for number, commit in given(tasks):
                self.ran.setdefault(commit.node, []).append(commit)
                yield number, commit

        flow.engine.run = run_and_tell  # type: ignore[method-assign]
        flow.ingest([IngestTask(0, fragment, number) for number, fragment in enumerate(planned(corpus))])
        flow.exchange(graph.identity, (), "ids")
        flow.pictures(graph.pictures)
        flow.decide(graph.measure, "pictures_errors", [0] * len(flow.views))
        flow.exchange(graph.images, ("images",), "images_followers")
        (near,) = [step for step in graph.near if isinstance(step, NearImage)]
        for file in gone:
            (self.root / file).unlink()
        for file, data in (changed or {}).items():
            (self.root / file).write_bytes(data)
        drop_near(flow, near)
        self.work, self.views, found = work, flow.views, {}
        for view in flow.views:
            rows = pl.concat([pl.DataFrame(work.read(part, ["sample_id", "source_key"])) for part in view.samples])
            verdicts = pl.DataFrame(work.read(dict(view.verdicts)["near_image"]))
            for row in rows.with_row_index("row").cast({"row": pl.Int32}).join(verdicts, on="row").to_dicts():
                found[row["source_key"].partition("#")[2]] = row
        return found

    def pictures(self) -> dict[str, str]:
        """Of the last run: the id of each record's picture, by the record's."""
        found = {}
        for view in self.views:
            refs = self.work.read(view.parts["links"], ["row", "images"]).to_pylist()
            (keys,) = (self.work.read(part, ["source_key"])["source_key"].to_pylist() for part in view.samples)
            found.update({keys[ref["row"]].partition("#")[2]: ref["images"][0]["image_id"] for ref in refs})
        return found

    def kept(self, run: str = "run") -> set[str]:
        """The ids of the records that near_image keeps."""
        return {name for name, row in self.said(run).items() if row["verdict"] == "keep"}
