"""`curate label`: heads fitted and measured by the command."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from filters.efficientnet import NETWORK, is_installed
from filters.modality_head import load_head
from pipelines.errors import UsageError
from tests.end_to_end.runs import curate, curate_json
from workflows.label import evaluate

needs_model = pytest.mark.skipif(not is_installed(), reason="onnxruntime or the weights package is not installed")


def labelled(place: Path) -> Path:
    """Stripes and noise, called CT and charts, in two data sets; one word that is no label, one broken file."""
    rows = ["path,modality,dataset"]
    rng = np.random.default_rng(1)
    for dataset in ("one", "two"):
        for number in range(3):
            for label in ("ct", "figure_chart"):
                noise = rng.integers(0, 60, (96, 96), np.uint8)
                stripes = ((np.arange(96) // 8 % 2) * 180).astype(np.uint8)[None] * np.ones((96, 1), np.uint8)
                name = f"{dataset}_{label}_{number}.png"
                Image.fromarray(noise + (stripes if label == "ct" else 0)).save(place / name)
                rows.append(f"{name},{label},{dataset}")
    (place / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    rows += ["broken.png,ct,one", "one_ct_0.png,cat,one"]
    (place / "manifest.csv").write_text("\n".join(rows))
    return place


@needs_model
def test_a_head_is_fitted_measured_and_used(tmp_path: Path) -> None:
    head = tmp_path / "head.npz"
    data = labelled(tmp_path)
    fitted = curate_json("label", "fit", data, "--out", head)
    assert (fitted["pictures"], fitted["network"]) == (12, NETWORK)
    assert load_head(head)[0].labels == ("chart", "ct")
    told = curate_json("label", "eval", data / "manifest.csv", "--head", head, "--confidence", 0.01)
    assert told["left_out"] == {"cat": 1, "undecodable": 1}
    said = curate("label", "eval", data, "--head", head)
    assert "left out: 1 undecodable, 1 whose folder or word is no label" in said.stdout + said.stderr
    for name in ("given", "unseen", "nearest"):
        assert told[name]["confusion"] == {"ct": {"ct": 6}, "not_medical": {"not_medical": 6}}, name


def test_a_folder_without_labels_is_wrong_usage(tmp_path: Path) -> None:
    if not is_installed():
        pytest.skip("onnxruntime or the weights package is not installed")
    told = curate("label", "eval", tmp_path)
    assert told.returncode == 2
    assert "manifest.csv" in told.stderr


@needs_model
@pytest.mark.parametrize(
    ("manifest", "out", "told"),
    [
        (b"path,modality\na.JPG,ct\n", "head.npz", "pictures of ct only"),
        ("path,modality\ncafé.JPG,ct\n".encode("latin-1"), "head.npz", "UTF-8"),
        (b"path,modality\na.JPG,ct\nb.JPG,mri\n", "missing/head.npz", "folder is not there"),
    ],
)
def test_what_no_head_can_come_of_is_told_before_a_picture_is_looked_at(
    tmp_path: Path, manifest: bytes, out: str, told: str
) -> None:
    (tmp_path / "manifest.csv").write_bytes(manifest)
    for name in ("a.JPG", "b.JPG"):
        Image.new("L", (64, 64)).save(tmp_path / name)
    answer = curate("label", "fit", tmp_path, "--out", tmp_path / out)
    assert answer.returncode == 2
    assert told in answer.stderr


@pytest.mark.parametrize("confidence", ["7", "0", "nan"])
def test_a_confidence_that_is_no_probability_is_wrong_usage(confidence: str) -> None:
    with pytest.raises(UsageError, match="--confidence"):
        evaluate(["nowhere"], confidence=float(confidence))


@needs_model
def test_biomedclip_needs_its_files(tmp_path: Path) -> None:
    told = curate("label", "fit", labelled(tmp_path), "--out", tmp_path / "head.npz", "--model", "biomedclip")
    assert told.returncode == 2
    assert "--path" in told.stderr
