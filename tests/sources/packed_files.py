"""Pictures, tars and zips made by independent writers, for tests of the readers that look inside."""

import io
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

Members = Sequence[tuple[str, bytes]]


def png(seed: int, side: int = 96) -> bytes:
    """A grey picture that no other seed gives."""
    data = io.BytesIO()
    grey = np.add.outer(np.arange(side), np.arange(side)) + np.random.default_rng(seed).integers(0, 60, (side, side))
    Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8)).save(data, "PNG")
    return data.getvalue()


def tar_bytes(members: Members, mode: str = "w", form: int = tarfile.PAX_FORMAT) -> bytes:
    """A tar of plain files, by Python's own writer."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode=mode, format=form) as tar:  # type: ignore[call-overload]
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return data.getvalue()


def write_tar(path: Path, members: Members, mode: str = "w", form: int = tarfile.PAX_FORMAT) -> Path:
    """The same as a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(tar_bytes(members, mode, form))
    return path


def write_zip(path: Path, members: Members, packing: int = zipfile.ZIP_DEFLATED) -> Path:
    """A zip, by Python's own writer."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", packing) as archive:
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content, packing)
    return path


def write_archive(path: Path, members: Members) -> Path:
    """An archive in the form that its name says."""
    if path.suffix == ".zip":
        return write_zip(path, members)
    return write_tar(path, members, "w:gz" if path.name.endswith(("gz",)) else "w")


def captioned(count: int, folder: str = "") -> list[tuple[str, bytes]]:
    """Samples of a caption and a picture, as WebDataset has them."""
    found = []
    for number in range(count):
        found += [
            (f"{folder}{number:04}.txt", f"Caption number {number}.".encode()),
            (f"{folder}{number:04}.png", png(number)),
        ]
    return found
