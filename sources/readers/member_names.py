"""Names of members of archives: which are pictures, which belong to nobody, and which no archive should hold."""

import re

from sources.identity import storable
from sources.schema import Reason
from sources.uris import MAX_URI_CHARACTERS

PICTURES = frozenset(("jpg", "jpeg", "png", "webp", "tif", "tiff", "bmp", "gif", "jp2", "dcm"))
"""Extensions, lower-cased, of members that are pictures; what they really are is told by their content."""
_ARCHIVES = (".zip", ".tar", ".tgz", ".tbz2", ".txz", ".7z", ".rar", ".tar.gz", ".tar.bz2", ".tar.xz", ".tar.zst")
_DRIVE = re.compile(r"[A-Za-z]:")


def plain(name: str) -> str:
    """The name without the `./` that archivers write before it."""
    while name.startswith("./"):
        name = name[2:].lstrip("/")
    return name


def extension(name: str) -> str:
    """What follows the last dot of the base name, lower-cased; empty where there is none."""
    return base(name).rpartition(".")[2].lower() if "." in base(name) else ""


def base(name: str) -> str:
    """What follows the last slash."""
    return name.rpartition("/")[2]


def is_litter(name: str) -> bool:
    """Whether a member is nobody's: hidden files, and what macOS puts into archives."""
    return base(name).startswith(".") or name.startswith("__MACOSX/") or not base(name)


def is_nobodys(name: str) -> bool:
    """Whether a member is what archivers and file systems put beside the files of people; hidden files are people's."""
    own = base(name)
    return name.startswith("__MACOSX/") or own.startswith("._") or own in ("", ".DS_Store")


def is_picture(name: str) -> bool:
    """Whether a member calls itself a picture."""
    return extension(name) in PICTURES


def is_archive(name: str) -> bool:
    """Whether a member calls itself an archive; `scan.nii.gz` is none."""
    return name.lower().endswith(_ARCHIVES)


def flaw_of(name: str) -> tuple[Reason, str] | None:
    """Why a member with this name is refused, or None. Nothing is unpacked; such a name has no good reason to be."""
    if storable(name) != name:
        return Reason.RECORD_ENCODING, "the name of a member is not UTF-8"
    if name.startswith("/") or _DRIVE.match(name):
        return Reason.RECORD_MALFORMED, "the name of a member is absolute"
    if "\\" in name:
        return Reason.RECORD_MALFORMED, "the name of a member has backslashes"
    if ".." in name.split("/"):
        return Reason.RECORD_MALFORMED, "the name of a member has '..' in it"
    if "\0" in name or len(name) > MAX_URI_CHARACTERS // 2:
        return Reason.RECORD_MALFORMED, "the name of a member is no file's"
    return None
