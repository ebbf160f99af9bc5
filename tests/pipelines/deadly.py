"""A package of readers that die, or hang, on what a record holds; written where `pip install --target` would leave it.

`parsing` dies as it parses a line, and passes one over if asked to; `opaque` cannot; `mapping` hands out a row that
kills whoever looks into it; `files` reads a folder of files of lines. Apart, `ending` dies behind its last record, or
as it is closed, `notes`, one record a file, behind each that asks for it, and `uncut` as it plans.
"""

from pathlib import Path

CODE = """
import os, signal, time
from dataclasses import replace
from pipelines import isolation
from sources.readers.folders import cut_files, file_entries
from sources.readers.jsonl import JsonlReader, json_record, split_lines
from sources.readers.ranges import pieces
from sources.records import Record

def look(data):
    if b"KILL" in data:
        os.kill(os.getpid(), signal.SIGKILL)
    if b"HANG" in data:
        time.sleep(3600)

class Parsing(JsonlReader):
    def read(self, corpus, fragment):
        for key, piece in pieces(corpus, fragment, split_lines):
            look(piece.data or b"")
            yield json_record(key, piece)

class Opaque(Parsing):
    def read(self, corpus, fragment):
        yield from super().read(corpus, replace(fragment, passed_over=frozenset()))

class Row(dict):
    def __init__(self, row, data):
        super().__init__(row)
        self.data = data
    def get(self, *args):
        look(self.data)
        return super().get(*args)
    def __getitem__(self, name):
        look(self.data)
        return super().__getitem__(name)

class Mapping(JsonlReader):
    def read(self, corpus, fragment):
        for key, piece in pieces(corpus, fragment, split_lines):
            yield Record(key, Row(json_record(key, piece).row, piece.data))

class Files:
    unit, version, options = "folder", 1, frozenset()
    def plan(self, corpus, paths):
        for fragment in cut_files(corpus, file_entries(corpus, paths)):
            yield replace(fragment, counted="files")
    def read(self, corpus, fragment):
        for entry in fragment.files:
            for number, line in enumerate(corpus.root.read(entry.path).splitlines()):
                look(line)
                yield Record(f"{entry.path}#{number}", {"question": "What?", "answer": line.decode()})

def end():
    if isolation._parent is not None:
        os.kill(os.getpid(), signal.SIGKILL)

class Ending(JsonlReader):
    def read(self, corpus, fragment):
        try:
            yield from super().read(corpus, fragment)
        finally:
            end()

class Notes(Files):
    def plan(self, corpus, paths):
        yield from cut_files(corpus, file_entries(corpus, paths))
    def read(self, corpus, fragment):
        for entry in fragment.files:
            text = corpus.root.read(entry.path)
            yield Record(entry.path, {"question": "What?", "answer": text.decode()})
            if b"AFTER" in text:
                end()

class Uncut(JsonlReader):
    def plan(self, corpus, paths):
        end()
        yield from super().plan(corpus, paths)
"""
READERS = {"parsing": "Parsing", "opaque": "Opaque", "mapping": "Mapping", "files": "Files",
           "ending": "Ending", "notes": "Notes", "uncut": "Uncut"}  # fmt: skip


def install(folder: Path, version: str = "1.0") -> Path:
    """Write the package; returns the folder to search for it."""
    info = folder / f"deadly-{version}.dist-info"
    info.mkdir(parents=True)
    (folder / "deadly.py").write_text(CODE, encoding="utf-8")
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: deadly\nVersion: {version}\n")
    points = "".join(f"{name} = deadly:{made}\n" for name, made in READERS.items())
    (info / "entry_points.txt").write_text(f"[curate.readers]\n{points}")
    return folder


def lines(answers: list[str]) -> str:
    """Questions with these answers, as JSON Lines."""
    return "".join(f'{{"id": "r{n}", "question": "What is {n}?", "answer": "{a}"}}\n' for n, a in enumerate(answers))
