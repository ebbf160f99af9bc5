"""Token counts of every sample, exact for GPT-oss and made without a network, and the filter on them."""

import hashlib
from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filters.verdicts import decided
from sources.schema import IMAGE_PLACEHOLDER, Reason, Verdict

HARMONY = "o200k_harmony"


class TokenizerError(Exception):
    """The recipe's tokenizer cannot be had. The message says what to do."""


class TokenCounts:
    """The number of tokens of all turns' text, per sample; placeholders of pictures are not text."""

    name = "token_counts"
    version = 1
    columns = ("turns",)

    def __init__(self, tokenizer: str) -> None:
        self.tokenizer = tokenizer

    def parameters(self) -> dict[str, object]:
        """What the counts depend on: the tokenizer's name, or the hash of its file."""
        if self.tokenizer == HARMONY:
            return {"tokenizer": HARMONY}
        return {"tokenizer": _file_digest(Path(self.tokenizer))}

    def measure(self, samples: pa.Table) -> dict[str, pa.Table]:
        """`tokens`: one row per sample, column `tokens` int32.

        Raises:
            TokenizerError: the tokenizer cannot be loaded.
        """
        count = load_counter(self.tokenizer)
        turns = samples["turns"].combine_chunks()
        texts = pc.list_flatten(turns).field("text").to_pylist()
        ends = np.cumsum(pc.fill_null(pc.list_value_length(turns), 0).to_numpy())
        running = np.cumsum([0, *(count(_without_placeholders(text)) for text in texts)])
        counts = np.diff(running[ends], prepend=0)
        return {"tokens": pa.table({"tokens": pa.array(counts, pa.int32())})}


class Tokens:
    """Drops samples with too few or too many tokens (Lingshu 2506.07044 section 3: captions of 10 to 1024)."""

    name = "tokens"
    version = 1
    reads = ("tokens",)
    columns = ("task",)

    def __init__(self, limits: Mapping[str, tuple[int, int]], default: tuple[int, int], context_tokens: int) -> None:
        """`limits`: task -> (fewest, most) tokens, both allowed; what fits no row of the context is too long."""
        self.limits = dict(limits)
        self.default = default
        self.context_tokens = context_tokens

    def parameters(self) -> dict[str, object]:
        """Limits by task, as configured."""
        return {"limits": self.limits, "default": self.default, "context_tokens": self.context_tokens}

    def decide(self, samples: pa.Table, facts: Mapping[str, pa.Table]) -> pa.Table:
        """One verdict a sample; the score is its token count, the threshold the limit it broke or came nearest."""
        counts = facts["tokens"]["tokens"].to_numpy()
        bounds = np.array([self._bounds(task) for task in samples["task"].to_pylist()], np.int64).reshape(-1, 2)
        short = counts < bounds[:, 0]
        long = counts > bounds[:, 1]
        reasons = np.full(len(counts), None, object)
        reasons[short], reasons[long] = Reason.TOKENS_TOO_SHORT, Reason.TOKENS_TOO_LONG
        verdicts = np.where(short | long, Verdict.DROP, Verdict.KEEP)
        return decided(verdicts, reasons, counts, np.where(short, bounds[:, 0], bounds[:, 1]))

    def _bounds(self, task: str) -> tuple[int, int]:
        fewest, most = self.limits.get(task, self.default)
        return fewest, min(most, self.context_tokens)


@lru_cache(maxsize=2)
def load_counter(tokenizer: str) -> Callable[[str], int]:
    """A function that counts the tokens of a text.

    `o200k_harmony` has the ranks of o200k_base for text (its own tokens are all special), which `bpe-openai`
    ships. Anything else is the path of a Hugging Face `tokenizer.json`.

    Raises:
        TokenizerError: neither.
    """
    if tokenizer == HARMONY:
        return _harmony_counter()
    path = Path(tokenizer)
    if not path.is_file():
        raise TokenizerError(f"tokenizer: {tokenizer} is neither {HARMONY} nor a tokenizer.json on this machine")
    from tokenizers import Tokenizer

    try:
        loaded = Tokenizer.from_file(str(path))
    except Exception as error:  # noqa: BLE001 - the library raises nothing more special
        raise TokenizerError(f"tokenizer: {tokenizer} is no tokenizer.json ({type(error).__name__})") from None
    return lambda text: len(loaded.encode(text, add_special_tokens=False).ids)


def _harmony_counter() -> Callable[[str], int]:
    """The compiled counter itself; a test holds its counts against another implementation's."""
    count: Callable[[str], int] = harmony_tokenizer().count
    return count


def harmony_tokenizer() -> Any:
    """The compiled tokenizer of o200k_base: `encode` and `count` of a text, which they never search for specials.

    Raises:
        TokenizerError: bpe-openai is not there.
    """
    return _compiled_counters().tokenizer_for_encoding("o200k_base")


def _compiled_counters() -> Any:
    """The compiled module of bpe-openai, without the package around it.

    The package reads the ranks of every encoding it knows as it is imported, which takes each process most of a
    second, and refuses long texts.

    Raises:
        TokenizerError: it is not there.
    """
    package = find_spec("bpe_openai")
    within = None if package is None else package.submodule_search_locations
    spec = PathFinder.find_spec("bpe_openai._bindings", within)
    if within is None or spec is None or spec.loader is None:
        raise TokenizerError(f"tokenizer: {HARMONY} needs bpe-openai; install the requirements (`make setup`)")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _without_placeholders(text: str) -> str:
    return text.replace(IMAGE_PLACEHOLDER, "").strip()


def _file_digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise TokenizerError(f"tokenizer {path}: cannot be read ({error.strerror})") from error
