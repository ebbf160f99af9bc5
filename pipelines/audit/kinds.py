"""Which files of a folder are data, by their names: what reads them, what lies beside data, what no reader is for."""

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

from sources.find import DEFAULT_FILES

TARS = (".tar", ".tar.gz", ".tgz")
PICTURES = frozenset(pattern.rpartition(".")[2].lower() for pattern in DEFAULT_FILES["image_folder"])
READERS = {".parquet": "parquet", ".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json"}
ARROW = ".arrow"
SAVED = ("state.json", "dataset_dict.json")
"""What `datasets` writes beside the Arrow files of a set that it saves."""
LINKS = "(links that lead out of the folder)"
"""Stands among endings for files that cannot be looked at."""
UNNAMED = "(pictures that no record names)"
NO_ENDING, OTHER = "(none)", "(other)"
_ABOUT = re.compile(
    r"(?i)(dataset_infos?|dataset_dict|state|croissant|manifest)\.json|events\.jsonl|.*\.(sha256|md5|idx|index)"
)
"""Files of a form that is read, which only describe others."""
_BESIDE = re.compile(
    r"(?i)(readme|licen[cs]e|copying|citation|changelog)([._-][a-z]{1,4}|-[\w.-]+)?(\.(md|rst|txt|cff|bib|html?))?"
    r"|.*\.(ya?ml|toml|css|js|py|sh|lock)"
)
"""Files that no reader is for, and that say something about data and are none."""
_ENDINGS = (
    "7z arrow avi avro bam bib bin bmp bz2 ckpt csv dat db dcm doc docx feather flac gif gz h5 hdf5 htm html jp2"
    " jpeg jpg json jsonl lmdb log lz4 mat md mdb mha mhd mkv mov mp3 mp4 msgpack ndjson ndpi nii npy npz nrrd"
    " nxml odt onnx orc parquet pdf pickle pkl png ppt pptx pt pth rar rst rtf safetensors sav sql sqlite svs"
    " tar tex tfrecord tgz tif tiff tsv txt wav webm webp xls xlsx xml xz zip zst"
)
_TOLD = frozenset(_ENDINGS.split())
"""Endings that a report may name. What follows the last dot of another name may be a part of it that identifies."""


def reader_of(path: str) -> str | None:
    """The reader that a file's name asks for, or None; `json` may still be JSON Lines, `arrow` needs to be saved."""
    name = PurePosixPath(path).name.lower()
    if name.endswith(TARS):
        return "webdataset"
    suffix = PurePosixPath(name).suffix
    if _ABOUT.fullmatch(name):
        return None
    return "image_folder" if suffix[1:] in PICTURES else READERS.get(suffix)


def is_beside(path: str) -> bool:
    """Whether a file that no reader is for is none of the data."""
    name = PurePosixPath(path).name
    return bool(_ABOUT.fullmatch(name) or _BESIDE.fullmatch(name))


def ending_of(path: str) -> str:
    """How a file's name ends, as a report may say it: a usual ending, or that it is another."""
    suffix = PurePosixPath(path).suffix.lower()
    if not suffix:
        return NO_ENDING
    return suffix if suffix[1:] in _TOLD else OTHER


def saved_folders(paths: Iterable[str]) -> frozenset[str]:
    """The folders of a saved Hugging Face data set, where it is the folder itself or lies directly in it."""
    own = frozenset(str(PurePosixPath(path).parent) for path in paths if PurePosixPath(path).name == SAVED[0])
    roots = {str(PurePosixPath(path).parent) for path in paths if PurePosixPath(path).name in SAVED}
    top = {root for root in roots if "/" not in root}
    return frozenset(folder for folder in own if folder in top or str(PurePosixPath(folder).parent) in top)
