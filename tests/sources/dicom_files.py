"""DICOM files made for a test, and the real ones there are."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

WHEEL_FILES = Path(pydicom.__path__[0]) / "data"


def real_files(shared_data: Path | None = None) -> list[Path]:
    """The DICOM files of pydicom's wheel, and of the shared data where they are."""
    roots = [WHEEL_FILES, *([shared_data / "dicom"] if shared_data else [])]
    return sorted(path for root in roots for path in root.rglob("*") if path.is_file())


def wheel_file(name: str) -> bytes:
    return next(WHEEL_FILES.rglob(name)).read_bytes()


def header_of(**elements: Any) -> FileDataset:
    """A data set with file meta information and the given elements by keyword."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["curate"])
    dataset = FileDataset("", Dataset(), preamble=b"\0" * 128, file_meta=meta)
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


def picture_of(stored: np.ndarray, bits: int | None = None, **elements: Any) -> FileDataset:
    """A data set of uncompressed pixels: H x W grey, N x H x W with `NumberOfFrames`, or H x W x 3."""
    colour = stored.ndim == 3 and "NumberOfFrames" not in elements
    rows, columns = stored.shape[-3:-1] if colour else stored.shape[-2:]
    allocated = 8 * stored.dtype.itemsize
    dataset = header_of(
        Rows=rows,
        Columns=columns,
        SamplesPerPixel=3 if colour else 1,
        PhotometricInterpretation="RGB" if colour else "MONOCHROME2",
        BitsAllocated=allocated,
        BitsStored=bits or allocated,
        HighBit=(bits or allocated) - 1,
        PixelRepresentation=int(stored.dtype.kind == "i"),
    )
    if colour:
        dataset.PlanarConfiguration = 0
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    dataset.PixelData = stored.tobytes() + b"\0" * (stored.nbytes % 2)
    dataset["PixelData"].VR = "OW" if allocated > 8 else "OB"
    return dataset


def bytes_of(dataset: FileDataset) -> bytes:
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def item(**elements: Any) -> Dataset:
    """A sequence item."""
    dataset = Dataset()
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset
