"""Versions of what decides about bytes: work of other versions is not mixed with new work."""

from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version

DECIDING = (
    "blake3", "bpe-openai", "curate", "numpy", "orjson", "pillow", "polars", "pyarrow", "pydicom", "pyjpegls",
    "pylibjpeg-openjpeg", "pylibjpeg-rle", "python-gdcm", "tokenizers",
)  # fmt: skip


@lru_cache(maxsize=1)
def _installed() -> tuple[tuple[str, str], ...]:
    found = []
    for name in DECIDING:
        try:
            found.append((name, version(name)))
        except PackageNotFoundError:
            found.append((name, "not installed"))
    return tuple(found)


def library_versions() -> dict[str, str]:
    """Distribution -> version, of this project and of the libraries that read, decode, compute or write."""
    return dict(_installed())
