"""Corpora in the layout in which their owners publish them, with rows made up here: `MAKERS[name](data)`.

A maker writes a few records under `data`, quirks of the layout included, and nothing of the real corpus.
"""

from collections.abc import Callable
from pathlib import Path

from tests.sources.corpora_fixtures import figures, questions, reports, texts

MAKERS: dict[str, Callable[[Path], None]] = {**figures.MAKERS, **questions.MAKERS, **reports.MAKERS, **texts.MAKERS}
"""By the name of the card."""
