"""How a function of this folder is compiled, and where the machine code is kept between processes."""

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba as nb
from numba.core import config
from numba.core.caching import UserProvidedCacheLocator

_settings: Any = config


class SameSources(UserProvidedCacheLocator):
    """Finds machine code by what a file says, wherever it lies and however old it is.

    numba would go by path and time. So a copy of the code, as Ray's workers have a new one in each session, need not be
    compiled again where NUMBA_CACHE_DIR names a folder that outlives it.
    """

    @classmethod
    def get_suitable_cache_subpath(cls, py_file: str) -> str:
        """The room, not where the house stands."""
        return Path(py_file).parent.name

    def get_source_stamp(self) -> str:
        """Machine code is out of date when its file is another."""
        return _digest(Path(self._py_file))


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a function with numba at its first call with given types; it runs without the GIL.

    The machine code is kept on disk beside the sources. numba notices a change of the function's own file only,
    not of the files of the kernels that it calls, so the place is named by a digest of them all: an edited or
    updated kernel is never run in its old form.
    """
    return _compiled(function, inlined=False)


def part(function: Callable[..., Any]) -> Any:
    """As `kernel`, but put into each kernel that calls it: a call hands over every array field by field."""
    return _compiled(function, inlined=True)


def _compiled(function: Callable[..., Any], *, inlined: bool) -> Any:
    before = _settings.CACHE_DIR, _settings.CACHE_LOCATOR_CLASSES
    _settings.CACHE_DIR = str(_cache_place())
    _settings.CACHE_LOCATOR_CLASSES = f"{__name__}.{SameSources.__name__}"
    try:
        return nb.njit(cache=True, nogil=True, forceinline=inlined)(function)
    finally:
        _settings.CACHE_DIR, _settings.CACHE_LOCATOR_CLASSES = before


@cache
def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


@cache
def _cache_place() -> Path:
    folder = Path(__file__).parent
    sources = b"".join(path.read_bytes() for path in sorted(folder.glob("*.py")))
    name = f"kernels-{hashlib.sha256(sources).hexdigest()[:16]}"
    beside = Path(_settings.CACHE_DIR or folder / "__pycache__") / name
    try:
        beside.mkdir(parents=True, exist_ok=True)
    except OSError:
        return Path.home() / ".cache" / "curate" / name
    return beside
