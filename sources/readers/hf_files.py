"""A folder as a file system of the kind that `datasets` reads from (`fsspec`): read-only, wherever the folder lies."""

from typing import Any, BinaryIO

import fsspec
from fsspec.spec import AbstractFileSystem

from sources.storage import Folder

PROTOCOL = "curate"
_folders: dict[str, Folder] = {}
_numbers: dict[Folder, str] = {}


def mounted(folder: Folder) -> str:
    """The URL under which this process reads the folder's files through `fsspec`."""
    if PROTOCOL not in fsspec.registry:
        fsspec.register_implementation(PROTOCOL, FolderFiles)
    if folder not in _numbers:
        _numbers[folder] = str(len(_numbers))
        _folders[_numbers[folder]] = folder
    return f"{PROTOCOL}://{_numbers[folder]}"


class FolderFiles(AbstractFileSystem):  # type: ignore[misc]  # fsspec has no types
    """The files of every folder that was given out by `mounted`; a path is the folder's number, then the file's."""

    protocol = PROTOCOL
    cachable = False

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Size and stamp of a file, or that there is a folder.

        Raises:
            FileNotFoundError: there is neither.
        """
        plain, folder, inner = self._found(path)
        stat = folder.stat(inner) if inner else None
        if stat is not None:
            return {"name": plain, "size": stat.size, "type": "file", "ETag": f"{stat.size}-{stat.stamp}"}
        if not inner or folder.has_folder(inner):
            return {"name": plain, "size": 0, "type": "directory"}
        raise FileNotFoundError(inner)

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:  # noqa: FBT001, FBT002 - fsspec's signature
        """What lies directly in a folder."""
        plain, folder, inner = self._found(path)
        there = folder.inside(inner) if inner else folder
        paths: list[Any] = [f"{plain}/{name}" for name in there.names()]
        return [self.info(one) for one in paths] if detail else paths

    def _open(self, path: str, mode: str = "rb", **_: Any) -> BinaryIO:
        if mode != "rb":
            raise OSError("a corpus is only read")
        folder, inner = self._found(path)[1:]
        return folder.open(inner)

    def _found(self, path: str) -> tuple[str, Folder, str]:
        plain = str(self._strip_protocol(path))
        number, _, inner = plain.partition("/")
        return plain, _folders[number], inner
