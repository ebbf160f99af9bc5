"""How names end, as reports may say it: what follows the last dot of a name may be a part of it that identifies."""

from pathlib import PurePosixPath

NO_ENDING, OTHER = "(none)", "(other)"
_ENDINGS = (
    "7z arrow avi avro bam bib bin bmp bz2 caption ckpt csv dat db dcm doc docx feather flac gif gz h5 hdf5 htm html"
    " image idx index jp2 jpeg jpg json jsonl lmdb log lz4 mat md mdb mha mhd mkv mov mp3 mp4 msgpack ndjson ndpi nii"
    " npy npz nrrd nxml odt onnx orc parquet pdf pgm pickle pkl png pnm ppm ppt pptx pt pth pyd question rar rst rtf"
    " safetensors sav sql sqlite svs tar tex text tfrecord tgz tif tiff tsv txt wav webm webp xls xlsx xml xz yaml yml"
    " zip zst"
)
_TOLD = frozenset(_ENDINGS.split())
"""Endings that a report may name."""


def ending_of(path: str) -> str:
    """How a file's name ends, as a report may say it: a usual ending, or that it is another."""
    suffix = PurePosixPath(path).suffix.lower()
    if not suffix:
        return NO_ENDING
    return suffix if suffix[1:] in _TOLD else OTHER
