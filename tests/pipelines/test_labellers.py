"""What `curate label eval` measures, with a stand-in of BiomedCLIP."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from filters.modality import Labels
from filters.modality_classes import modality_of
from pipelines.labelled import collected
from pipelines.labellers import head_for, looker, measured
from sources.pictures import decode
from sources.schema import IMAGES

pytest.importorskip("open_clip", reason="open_clip is not installed")
CONFIDENCE = 0.06


def test_without_a_head_biomedclip_is_measured_by_what_a_build_makes_of_its_prompts(tmp_path: Path) -> None:
    from filters.biomedclip import BiomedClip
    from tests.filters.stand_in import sha256_of, write_stand_in

    directory = write_stand_in(tmp_path)
    rng = np.random.default_rng(3)
    for number, word in enumerate(("ct", "mri", "chart")):
        (tmp_path / "labelled" / word).mkdir(parents=True)
        pixels = rng.integers(0, 256, (90 + 30 * number, 120, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "labelled" / word / "one.png")
    looking = looker("biomedclip", str(directory), sha256_of(directory))
    found = collected([str(tmp_path / "labelled")], {}, looking.look, {})
    told = measured(looking, head_for(looking, None), found, CONFIDENCE, 3)

    build = BiomedClip(str(directory), sha256_of(directory))
    rows = []
    for one in found.pictures:
        values = build.measure_batch([build.prepare(decode(one.folder.read(one.path)))])[0]
        rows.append({**dict.fromkeys(IMAGES.names), "image_id": one.label, "modality": "unknown", **values})
    labels = Labels(None, None, CONFIDENCE).labelled(pa.Table.from_pylist(rows, IMAGES), {})
    assert found.labels == ["chart", "ct", "mri"]
    expected = {
        modality_of(name): {answer: 1}
        for name, answer in zip(found.labels, labels["modality"].to_pylist(), strict=True)
    }
    assert told["given"]["confusion"] == expected
    assert (told["judged_by"], told["unseen"]) == ("prompts", None)
