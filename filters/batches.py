"""Pictures on their way to models: a batch is looked at in a thread while the next pictures are decoded."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Self

from filters.measurer import PictureMeasurer
from sources.pictures import Picture

Row = dict[str, Any]
Prepared = tuple[Row, Any]


class Batches:
    """Collects pictures for each model and fills in the rows with what it finds; a context, after which all is done.

    One batch at most is under way: memory holds that one and those being filled, however many pictures come. A GPU
    works, and PyTorch, OpenCV and Pillow decode, without the interpreter's lock, so that both go on at once. Rows and
    errors are those of one after the other, whatever the timing: a batch that fails raises where the next one would
    start, or at the end, and before any later picture's error. A model that takes pictures one at a time is a CPU's
    own: it looks at each at once, in no thread.
    """

    def __init__(self, models: Sequence[PictureMeasurer]) -> None:
        self._waiting: list[tuple[PictureMeasurer, list[Prepared]]] = [(model, []) for model in models]
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._under_way: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                for model, waiting in self._waiting:
                    self._start(model, waiting)
            if kind is None or issubclass(kind, Exception):
                self._finish()
        finally:
            self._thread.shutdown()

    def add(self, row: Row, picture: Picture) -> None:
        """Take a picture whose row is to be filled in.

        Raises:
            Exception: as `prepare` and `measure_batch` of the models, of this picture or of those before.
        """
        for model, waiting in self._waiting:
            size = model.batch_size()
            waiting.append((row, model.prepare(picture)))
            if size == 1:
                _look(model, waiting)
                waiting.clear()
            elif len(waiting) >= size:  # more, where the model has found meanwhile that it takes fewer
                self._start(model, waiting)

    def _start(self, model: PictureMeasurer, waiting: list[Prepared]) -> None:
        self._finish()
        if waiting:
            self._under_way = self._thread.submit(_look, model, waiting.copy())
            waiting.clear()

    def _finish(self) -> None:
        """Wait for the batch that is under way."""
        under_way, self._under_way = self._under_way, None
        if under_way is not None:
            under_way.result()


def _look(model: PictureMeasurer, batch: Sequence[Prepared]) -> None:
    """Let a model look at a batch."""
    for (row, _), values in zip(batch, model.measure_batch([kept for _, kept in batch]), strict=True):
        row.update(values)
