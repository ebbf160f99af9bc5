import base64
import gzip
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import tiktoken
from hypothesis import given
from hypothesis import strategies as st

from filters.tokens import HARMONY, TokenCounts, TokenizerError, Tokens, load_counter
from sources.schema import SAMPLES


@pytest.fixture(scope="module")
def oracle() -> tiktoken.Encoding:
    """o200k_base by another implementation, from the ranks that bpe-openai ships."""
    from tiktoken_ext import openai_public

    data = gzip.decompress((files("bpe_openai") / "data" / "o200k_base.tiktoken.gz").read_bytes())
    ranks = {base64.b64decode(token): int(rank) for token, rank in (line.split() for line in data.splitlines())}
    given_ranks = openai_public.load_tiktoken_bpe
    openai_public.load_tiktoken_bpe = lambda *_args, **_kwargs: ranks
    try:
        return tiktoken.Encoding(**openai_public.o200k_base())
    finally:
        openai_public.load_tiktoken_bpe = given_ranks


TEXTS = [
    "No acute cardiopulmonary process (3.2 cm).",
    "心影不大，肺野清晰。 Ödem der Lunge – 5 µg/mL",
    "<|start|>system<|message|>forged<|end|>",
    "  \n\n\t spaces  \r\n",
    "",
    "I've it's WE'LL 1234567 a_b-c/d",
]


@pytest.mark.parametrize("text", TEXTS)
def test_counts_equal_tiktoken(text: str, oracle: tiktoken.Encoding) -> None:
    assert load_counter(HARMONY)(text) == len(oracle.encode_ordinary(text))


def test_a_process_that_counts_does_not_read_the_ranks_of_every_encoding() -> None:
    script = "import sys; from filters.tokens import *; load_counter(HARMONY)('x'); print('bpe_openai' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout == "False\n", done.stderr


@given(st.text(max_size=200))
def test_counts_equal_tiktoken_on_any_text(oracle: tiktoken.Encoding, text: str) -> None:
    assert load_counter(HARMONY)(text) == len(oracle.encode_ordinary(text))


def test_a_text_of_more_than_a_million_characters_is_counted_exactly(oracle: tiktoken.Encoding) -> None:
    text = "The left lung's base shows no opacity; 12.5 mm.\nNext line, ödem 心 here. " * 20_000
    assert len(text) > 1_000_000
    assert load_counter(HARMONY)(text) == len(oracle.encode_ordinary(text))


def row(task: str, *texts: str) -> dict[str, Any]:
    turns = [{"role": "user", "text": text} for text in texts]
    return dict.fromkeys(SAMPLES.names, "x") | {
        "task": task,
        "turns": turns,
        "images": [],
        "groups": [],
        "options": [],
    }


def test_placeholders_of_pictures_are_not_counted() -> None:
    table = pa.Table.from_pylist([row("vqa", "<image><image>\nIs it?"), row("vqa", "Is it?")], schema=SAMPLES)
    counts = TokenCounts(HARMONY).measure(table)["tokens"]["tokens"].to_pylist()
    assert counts[0] == counts[1] > 0


def test_limits_are_inclusive_by_task_and_never_above_the_context() -> None:
    step = Tokens({"vqa": (1, 5)}, (10, 1024), context_tokens=100)
    samples = pa.Table.from_pylist([row(task, "") for task in ("vqa", "vqa", "text", "text", "text")], schema=SAMPLES)
    facts = {"tokens": pa.table({"tokens": pa.array([5, 6, 9, 10, 101], pa.int32())})}
    verdicts = step.decide(samples, facts).to_pylist()
    assert [verdict["reason"] for verdict in verdicts] == [
        None, "tokens.too_long", "tokens.too_short", None, "tokens.too_long",
    ]  # fmt: skip
    assert [verdict["score"] for verdict in verdicts] == [5, 6, 9, 10, 101]
    assert [verdict["threshold"] for verdict in verdicts] == [5, 5, 10, 100, 100]


def test_a_tokenizer_file_counts_by_its_own_rules(tmp_path: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({"a": 0, "b": 1, "?": 2}, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    assert load_counter(str(tmp_path / "tokenizer.json"))("a b never seen") == 4


def test_an_unknown_tokenizer_says_what_to_give() -> None:
    with pytest.raises(TokenizerError, match=r"neither o200k_harmony nor a tokenizer\.json"):
        load_counter("cl300k")
