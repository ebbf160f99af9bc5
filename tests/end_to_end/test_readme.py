"""Every `curate` command of the README does what it says, in the order it is shown."""

import re
import shutil
from pathlib import Path

import polars as pl
import pytest

from tests.end_to_end.runs import curate

README = Path(__file__).parents[2] / "README.md"
SOME = ("text/text_medquad", "text/text_mts_dialog", "text/eval_medbullets", "images/covid_chestxray_copy")
"""Corpora of the shared data, pictures and an eval set among them: with all of them a build takes minutes."""


def test_the_readme_s_commands_run_on_real_corpora(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in SOME:
        shutil.copytree(shared_data / name, tmp_path / "corpora" / name)
    monkeypatch.chdir(tmp_path)
    commands = re.findall(r"^\$ curate (.*?)(?:\s+#.*)?$", README.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(commands) >= 8
    for shown in commands:
        command = shown
        if "SAMPLE_ID" in shown:
            samples = pl.scan_parquet(tmp_path / "runs" / "mid" / "tables" / "samples" / "*.parquet")
            command = shown.replace("SAMPLE_ID", samples.select("sample_id").head(1).collect().item())
        if command.startswith("remove"):
            kept = pl.scan_parquet(tmp_path / "runs" / "mid" / "tables" / "ledger" / "*.parquet").last().collect()
            (tmp_path / "retracted.csv").write_text(f"sample,{kept['sample_id'].item()}\n")
        if command.startswith("diff"):
            for day in ("monday", "tuesday"):
                shutil.copytree(tmp_path / "runs" / "mid", tmp_path / "runs" / day)
        done = curate(*command.split())
        assert done.returncode == 0, (command, done.stderr)
        assert done.stderr or done.stdout
