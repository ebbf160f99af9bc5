import hashlib
from pathlib import Path

import orjson
import pytest

from pipelines.diagnosis import AWS_CREDENTIALS, credentials, diagnose, diagnosis_lines


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in (*AWS_CREDENTIALS, "GOOGLE_APPLICATION_CREDENTIALS"):
        monkeypatch.delenv(name, raising=False)


def test_credentials_are_told_by_yes_and_no(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert credentials() == {"s3": False, "gs": False}
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA-OF-SITE")
    (tmp_path / ".config" / "gcloud").mkdir(parents=True)
    (tmp_path / ".config" / "gcloud" / "application_default_credentials.json").write_text("{}")
    assert credentials() == {"s3": True, "gs": True}


def test_the_answer_names_ray_and_never_a_credential(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA-OF-SITE")
    found = diagnose()
    said = "\n".join(diagnosis_lines(found))
    assert next(row for row in found["packages"] if row["name"] == "ray")["installed"]
    assert found["machine"]["gpus"] >= 0
    assert "s3:// found" in said
    assert "AKIA-OF-SITE" not in said + orjson.dumps(found).decode()


def test_extras_and_weights_are_told_with_their_sha256(tmp_path: Path) -> None:
    (tmp_path / "open_clip_config.json").write_text("{}")
    (tmp_path / "open_clip_pytorch_model.bin").write_bytes(b"weights")
    found = diagnose(tmp_path)
    told = {row["name"]: row for row in found["models"]}
    own = hashlib.sha256(b"weights").hexdigest()
    assert told["biomedclip"]["sha256"] == own
    assert own in "\n".join(diagnosis_lines(found))
    assert found["ok"] is diagnose()["ok"]
    assert set(found["extras"]) >= {"core", "label", "biomedclip", "phi", "train"}
    assert told["efficientnet-lite0-six-views"]["known"] is found["extras"]["label"]


def test_weights_that_are_not_there_are_told_with_what_to_do(tmp_path: Path) -> None:
    found = diagnose(tmp_path)
    (row,) = [row for row in found["models"] if row["name"] == "biomedclip"]
    assert row["sha256"] is None
    assert "open_clip_config.json" in row["hint"]
    assert not found["ok"]
    assert "everything a build needs is here" not in diagnosis_lines(found)
