"""Models look at batches while pictures are decoded, and nobody can tell from what comes out."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from filters.gallery import Gallery, Wanted
from sources.pictures import Limits, Picture
from tests.filters.test_measure import encoded

FILES = {f"{level}.png": encoded(np.full((8, 8), level, np.uint8)) for level in range(11)}
WAIT_S = 10.0


class Mean:
    """Tells a picture's mean, after `before` was called with the number of the batch, from 0."""

    name, version, whole = "mean", 1, False

    def __init__(self, size: int, before: Callable[[int], object] = lambda _: None, field: str = "embedding") -> None:
        self.size, self.before, self.fields = size, before, (field,)
        self.prepared, self.seen = 0, 0
        self.batches: list[int] = []
        self.held: list[int] = []
        """After each picture that was prepared: how many are not looked at yet."""

    def batch_size(self) -> int:
        return self.size

    def prepare(self, picture: Picture) -> Any:
        self.prepared += 1
        self.held.append(self.prepared - self.seen)
        return float(np.asarray(picture.pixels).mean())

    def measure_batch(self, prepared: Sequence[Any]) -> list[Mapping[str, Any]]:
        self.batches.append(len(prepared))
        self.before(len(self.batches) - 1)
        self.seen += len(prepared)
        return [{self.fields[0]: str(one)} for one in prepared]


def visited(*models: Mean, open_image: Callable[[str], bytes] = FILES.__getitem__) -> list[dict[str, Any]]:
    """The rows; no thread of a model is left, whatever happens."""
    gallery = Gallery(Limits(), "unknown", full_size=False, measurers=models)
    try:
        gallery.visit([Wanted(uri, "first") for uri in FILES], open_image)
    finally:
        assert not [one.name for one in threading.enumerate() if one.name.startswith("model")]
    return gallery.images


def test_rows_are_the_same_whichever_side_is_late() -> None:
    def slow(uri: str) -> bytes:
        time.sleep(0.005)
        return FILES[uri]

    expected = visited(Mean(1))
    assert [row["embedding"] for row in expected] == [str(float(level)) for level in range(11)]
    assert visited(Mean(4, lambda _: time.sleep(0.05))) == expected
    assert visited(Mean(4), open_image=slow) == expected


def test_the_next_pictures_are_decoded_while_a_batch_is_looked_at() -> None:
    fourth = threading.Event()

    def open_image(uri: str) -> bytes:
        if uri == "3.png":
            fourth.set()
        return FILES[uri]

    def first_waits(batch: int) -> None:
        if not batch:
            assert fourth.wait(WAIT_S)

    assert len(visited(Mean(2, first_waits), open_image=open_image)) == 11


def test_no_more_than_two_batches_are_held() -> None:
    model = Mean(2, lambda _: time.sleep(0.02))
    visited(model)
    assert model.batches == [2, 2, 2, 2, 2, 1]
    assert max(model.held) <= 4


def test_several_models_look_at_every_picture() -> None:
    rows = visited(Mean(3), Mean(1, field="modality"), Mean(4, field="format"))
    assert all(row["embedding"] == row["modality"] == row["format"] for row in rows)
    assert len(rows) == 11


def test_a_model_that_takes_one_at_a_time_is_in_no_thread_of_its_own() -> None:
    seen: set[threading.Thread] = set()
    visited(Mean(1, lambda _: seen.add(threading.current_thread())))
    assert seen == {threading.current_thread()}


def test_a_model_that_has_found_that_it_takes_fewer_is_given_fewer() -> None:
    model = Mean(4)
    model.before = lambda _: setattr(model, "size", 2)
    assert [row["embedding"] for row in visited(model)] == [str(float(level)) for level in range(11)]
    assert max(model.batches[2:]) <= 2


@pytest.mark.parametrize("failing", [0, 1, 2], ids=["first", "second", "the rest at the end"])
def test_an_error_of_the_model_surfaces_and_no_later_batch_is_looked_at(failing: int) -> None:
    def fail(batch: int) -> None:
        if batch == failing:
            raise ValueError("weights")

    model = Mean(4, fail)
    with pytest.raises(ValueError, match="weights"):
        visited(model)
    assert len(model.batches) == failing + 1


def test_an_error_of_the_decoding_side_surfaces_after_the_batch_under_way() -> None:
    def open_image(uri: str) -> bytes:
        if uri == "5.png":
            raise PermissionError("disk")
        return FILES[uri]

    model = Mean(4, lambda _: time.sleep(0.05))
    with pytest.raises(PermissionError, match="disk"):
        visited(model, open_image=open_image)
    assert (model.batches, model.seen) == ([4], 4)


def test_of_two_errors_the_earlier_picture_s_surfaces_whatever_the_timing() -> None:
    raised = threading.Event()

    def open_image(uri: str) -> bytes:
        if uri == "5.png":
            raised.set()
            raise PermissionError("disk")
        return FILES[uri]

    def fail_later(_: int) -> None:
        assert raised.wait(WAIT_S)
        raise ValueError("weights")

    with pytest.raises(ValueError, match="weights"):
        visited(Mean(4, fail_later), open_image=open_image)
