"""Every DICOM file of a folder against pydicom: `python -m benchmarks.dicom_files [FOLDER] [--each]`.

Each frame is decoded here and by `pydicom.pixels.pixel_array` (stored values, colour as RGB) and compared. What is
refused here is told with its reason, which names the transfer syntax or the defect; what pydicom refuses, by its
exception's type. Files a second are of showing the first frame, the median of three rounds .
"""

import argparse
import io
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pydicom
from pydicom.pixels import pixel_array

from benchmarks.readers import compare_dicom
from sources.dicom.header import syntax_name
from sources.dicom.picture import DicomPicture
from sources.pictures import Limits, PictureError, sniff


def outcome(data: bytes) -> tuple[str, str]:
    """What became of a file, in a word, and why."""
    if sniff(data) != "dicom":
        return "no DICOM", "record.malformed: not a DICOM file"
    try:
        picture = DicomPicture(data, Limits())
        stored = [picture._decode(number)[0] for number in range(picture.header.frames)]  # noqa: SLF001 - before display
    except PictureError as error:
        return "refused", f"{error.reason}: {error.detail}"
    dataset = pydicom.dcmread(io.BytesIO(data), force=True)
    named = syntax_name(dataset.file_meta.get("TransferSyntaxUID", "")) if "file_meta" in dir(dataset) else ""
    try:
        theirs = [pixel_array(dataset, index=number) for number in range(len(stored))]
    except Exception as error:  # noqa: BLE001 - whatever it is that pydicom raises, it did not decode the file
        return "decoded, and not by pydicom", f"{named or 'no transfer syntax'}; pydicom: {type(error).__name__}"
    same = all(np.array_equal(own, other) for own, other in zip(stored, theirs, strict=True))
    return ("equal to pydicom" if same else "DIFFERENT from pydicom"), f"{named}, {len(stored)} frames"


def main() -> None:
    """Print what became of the files, and how fast."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("../shared/data/dicom"))
    parser.add_argument("--each", action="store_true", help="a line for each file, not only for those not equal")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    counts: Counter[str] = Counter()
    for path in sorted(path for path in options.folder.rglob("*") if path.is_file()):
        what, why = outcome(path.read_bytes())
        counts[what] += 1
        if options.each or what != "equal to pydicom":
            print(f"{what:<28} {path.relative_to(options.folder)}: {why}")
    print(", ".join(f"{count} {what}" for what, count in counts.most_common()))
    compare_dicom(options.folder)


if __name__ == "__main__":
    main()
