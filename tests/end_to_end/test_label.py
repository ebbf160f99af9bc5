"""`curate label`: heads fitted and measured by the command."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from filters.efficientnet import NETWORK, is_installed
from filters.modality_head import load_head
from pipelines.errors import UsageError
from tests.end_to_end.runs import curate, curate_json, quiet_environment
from workflows.label import evaluate

COMMIT = "0123456789abcdef" * 2 + "01234567"
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


@needs_model
def test_missing_pictures_are_told_as_undecodable_ones_are(tmp_path: Path) -> None:
    data = labelled(tmp_path)
    (data / "one_ct_0.png").unlink()
    told = curate("label", "eval", data)
    assert told.returncode == 0, told.stderr
    assert "left out: 1 undecodable, 1 missing, 1 whose folder or word is no label" in told.stdout + told.stderr
    fitted = curate_json("label", "fit", data, "--out", tmp_path / "head.npz")
    assert fitted["pictures"] == 11
    assert load_head(tmp_path / "head.npz")[0].recipe["left_out"] == {"cat": 1, "missing": 1, "undecodable": 1}


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A home of huggingface_hub, and the snapshot in its cache: a stand-in of BiomedCLIP with random weights."""
    pytest.importorskip("open_clip", reason="open_clip is not installed")
    from tests.filters.stand_in import write_stand_in

    home = tmp_path_factory.mktemp("hf")
    snapshot = home / "hub" / "models--microsoft--BiomedCLIP" / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    return home, write_stand_in(snapshot)


def test_biomedclip_without_a_head_is_measured_by_its_prompts(tmp_path: Path, stand_in: tuple[Path, Path]) -> None:
    from tests.filters.stand_in import sha256_of

    home, snapshot = stand_in
    model = ("label", "eval", labelled(tmp_path), "--model", "biomedclip", "--sha256", sha256_of(snapshot))
    told = curate_json(*model, "--path", snapshot)
    assert (told["judged_by"], told["given"]["pictures"], told["unseen"]) == ("prompts", 12, None)
    said = curate(*model, "--path", snapshot)
    assert "by the prompts that a build uses" in said.stdout + said.stderr
    assert "nothing is fitted, so no data set is left out in turn" in said.stdout + said.stderr
    offline = {**quiet_environment(), "HF_HOME": str(home)}
    named = f"hf-hub:microsoft/BiomedCLIP@{COMMIT}"
    assert curate_json(*model, "--path", named, env=offline) == told
    absent = curate(*model, "--path", named, env={**offline, "HF_HOME": str(tmp_path / "empty")})
    assert absent.returncode == 2
    assert f"hf download microsoft/BiomedCLIP --revision {COMMIT}" in " ".join(absent.stderr.split())
