"""Reads writing with RapidOCR in a process of its own: run as a script by `ocr.py`, never imported.

Standard input holds requests: a line of JSON (height, width), then H x W grey bytes. Standard output answers with eight
little-endian bytes of length, then JSON: first "ready", once its models are loaded, then for each request a list of
[left, top, right, bottom, text, confidence]. A request with `lines`, a list of [left, top, right, bottom], is answered
by [text, confidence] of each: nothing is looked for then.
"""

import contextlib
import ctypes
import json
import os
import pathlib
import resource
import signal
import sys
from typing import Any, BinaryIO

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Answer requests until standard input ends."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # nobody wants a dump with a patient's picture in it
    _end_with(int(sys.argv[1]))
    requests = sys.stdin.buffer
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    import cv2
    import numpy as np
    from rapidocr_onnxruntime import RapidOCR  # type: ignore[import-untyped]

    cv2.setNumThreads(1)
    engine = RapidOCR(intra_op_num_threads=1, inter_op_num_threads=1)
    _answer(answers, b'"ready"')
    while line := requests.readline():
        asked = json.loads(line)
        height, width = asked["height"], asked["width"]
        grey = np.frombuffer(requests.read(height * width), np.uint8).reshape(height, width)
        shown = cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)
        if "lines" in asked:
            said = [_said(engine, shown[top:bottom, left:right]) for left, top, right, bottom in asked["lines"]]
            _answer(answers, json.dumps(said).encode())
            continue
        found, _ = engine(shown)
        _answer(answers, json.dumps([_line(points, text, score) for points, text, score in found or ()]).encode())


def _end_with(parent: int) -> None:
    """End when the thread that started this process ends, however long a picture takes; and first, where memory ends.

    Elsewhere than on Linux it ends when it next looks at its input.
    """
    if sys.platform != "linux":
        return
    with contextlib.suppress(OSError):
        pathlib.Path("/proc/self/oom_score_adj").write_text("1000")
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it ended before we had asked
        os._exit(1)


def _answer(answers: BinaryIO, answer: bytes) -> None:
    answers.write(len(answer).to_bytes(8, "little") + answer)
    answers.flush()


def _said(engine: Any, line: Any) -> list[Any]:
    found, _ = engine(line, use_det=False, use_cls=False, use_rec=True)
    text, score = found[0][:2] if found else ("", 0.0)
    return [text, round(float(score), 3)]


def _line(points: Any, text: str, score: Any) -> list[Any]:
    across, down = [float(point[0]) for point in points], [float(point[1]) for point in points]
    return [min(across), min(down), max(across), max(down), text, round(float(score), 3)]


if __name__ == "__main__":
    main()
