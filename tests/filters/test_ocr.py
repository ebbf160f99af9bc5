from pathlib import Path

import numpy as np
import pytest

from filters import ocr
from pipelines.bisect import FATAL_ERRORS

needs_reader = pytest.mark.skipif(not ocr.is_installed(), reason="the reader of writing of [phi] is not installed")


@needs_reader
def test_a_reader_that_hangs_or_dies_is_ended_and_the_next_picture_gets_a_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ground = np.zeros((40, 60), np.uint8)
    ready = "import sys; sys.stdout.buffer.write(bytes([7] + [0] * 7) + b'\"ready\"'); sys.stdout.flush(); "
    for script, word in (("import time; time.sleep(600)", "in time"), ("sys.exit(3)", "died")):
        ocr.end_reader()
        path = tmp_path / "reader.py"
        path.write_text(f"{ready}open({str(tmp_path / word)!r}, 'a').write('x'); {script}")
        monkeypatch.setattr(ocr, "_SCRIPT", path)
        with pytest.raises(ocr.OcrError, match=word):
            ocr.read_writing(ground, 0.5)
        assert (tmp_path / word).read_text() == "xx"  # asked again, with a fresh reader
    monkeypatch.undo()
    assert ocr.read_writing(ground, 60) == []


@needs_reader
@pytest.mark.parametrize(
    "script", ["import time; time.sleep(600)", "raise ImportError('libGL')", "print('hello there!')"]
)
def test_a_reader_that_cannot_start_is_the_machines_fault_and_no_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    path = tmp_path / "reader.py"
    path.write_text(script)
    ocr.end_reader()
    monkeypatch.setattr(ocr, "_SCRIPT", path)
    monkeypatch.setattr(ocr, "_START_S", 2.0)
    with pytest.raises(ocr.StartError, match="does not start"):
        ocr.read_writing(np.zeros((40, 60), np.uint8), 0.5)
    assert issubclass(ocr.StartError, FATAL_ERRORS)
