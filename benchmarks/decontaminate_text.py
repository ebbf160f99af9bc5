"""Decontamination of text: speed beside datatrove's n-grams, memory, growth, and recall and false findings by variant.

    python -m benchmarks.decontaminate_text [--data DIR] [--items N...] [--part speed|recall|rewordings] [--core 0]
        [--share .25 1] [--peers PYTHON] [--peer-items 2000] [--json]

`--data` is the folder `text/` of the shared data: its exam sets are the eval items (filled up to `--items` with made
ones), its dialogues, articles and questions the training text, of which `--share` takes parts. `--peers` is an
interpreter that has datatrove; it gets the smallest share and `--peer-items` of the items, and so do we, in the same
run. Rates are per second of CPU time of one thread. `recall` plants variants of MedQA, MedMCQA and MMLU questions, by
length, and scans held-out ones, beside 13-grams, 8-grams and Tülu 3's rule (half of the tokens in shared 8-grams).
`rewordings` seeks the 99 exam questions that HuatuoGPT-o1's demo has rewritten, beside the same three.
"""

import argparse
import csv
import html
import json
import os
import random
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dedup.decontamination.items import ITEMS
from dedup.decontamination.text_index import TextIndex
from dedup.decontamination.text_scan import scan_texts
from dedup.decontamination.text_search import search_of
from dedup.decontamination.text_settings import TextSettings
from sources.schema import SAMPLES

Item = dict[str, Any]
STRONG = ("exact", "near_text", "paraphrase")
BUCKETS = {"<8": (4, 7), "8-12": (8, 12), "13-30": (13, 30), ">30": (31, 10**6)}
PER_BUCKET = 150


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("/work/shared/data/text"))
    parser.add_argument("--items", type=int, nargs="+", default=[100_000])
    parser.add_argument("--peers", help="a Python interpreter that has datatrove")
    parser.add_argument("--core", type=int, help="pin everything to this core")
    parser.add_argument("--peer-items", type=int, default=2000)
    parser.add_argument("--share", type=float, nargs="+", default=[0.25, 1.0])
    parser.add_argument("--part", choices=["speed", "recall", "rewordings"], default="speed")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if given.core is not None:
        os.sched_setaffinity(0, {given.core})
    said = []
    parts = {
        "recall": lambda: recall(given.data),
        "rewordings": lambda: rewordings(given.data),
        "speed": lambda: speed(given.data, given.items, given.share, given.peers, given.peer_items),
    }
    for row in parts[given.part]():
        said.append(row)
        if not given.json:
            print("  ".join(f"{name} {value}" for name, value in row.items()), flush=True)
    if given.json:
        print(json.dumps(said))


def speed(
    data: Path, sizes: list[int], shares: list[float], peers: str | None, peer_items: int
) -> Iterator[dict[str, Any]]:
    """Rates with indexes of some sizes on parts of the corpus, and beside a peer with the same items and texts."""
    everything = training_texts(data)
    for count in sizes:
        for share in shares:
            yield by_curate(filled(exam_items(data), count), part_of(everything, share))
    if peers:
        items, texts = exam_items(data)[:peer_items], part_of(everything, min(shares))
        ours, theirs = by_curate(items, texts), by_datatrove(peers, items, texts)
        yield from (ours, theirs)
        yield {"what": "curate / datatrove", "ratio": round(ours["scan_mb_s"] / theirs["mb_s"], 1)}


def part_of(texts: list[str], share: float) -> list[str]:
    """Every n-th text."""
    return texts[:: max(1, round(1 / share))]


def by_curate(items: list[Item], texts: list[str]) -> dict[str, Any]:
    """Time and memory to make the index and to scan the texts, with and without rewordings; the best of three scans."""
    size = sum(len(text.encode()) for text in texts) / 1e6
    samples = samples_of([{"turns": [{"role": "text", "text": text}]} for text in texts])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    index, seconds = timed(lambda: TextIndex.of(items_of(items), TextSettings()))
    background, background_s = timed(lambda: index.background(samples))
    index = index.weighted(background, samples.num_rows)
    _, prepare_s = timed(lambda: search_of(index))
    memory = held(index)
    scan_texts(index, samples.slice(0, 100))
    hits, _ = timed(lambda: scan_texts(index, samples))
    scan_s = min(timed(lambda: scan_texts(index, samples))[1] for _ in range(3))
    written = index.weighted(background, samples.num_rows)
    object.__setattr__(written, "settings", TextSettings(paraphrase=False))
    search_of(written)
    written_s = min(timed(lambda: scan_texts(written, samples))[1] for _ in range(3))
    return {
        "what": "curate", "items": len(items), "mb": round(size, 2), "index_s": round(seconds, 2),
        "prepare_s": round(prepare_s, 2), "index_mb": round(memory, 1),
        "peak_mib": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10,
        "background_mb_s": round(size / background_s, 1), "scan_s": round(scan_s, 3),
        "scan_mb_s": round(size / scan_s, 1), "scan_without_paraphrase_mb_s": round(size / written_s, 1),
        "hits": hits.num_rows,
    }  # fmt: skip


def by_datatrove(python: str, items: list[Item], texts: list[str]) -> dict[str, Any]:
    """Its 12-grams, of questions too, over the texts."""
    with tempfile.TemporaryDirectory() as place:
        pq.write_table(pa.table({"text": texts}), f"{place}/texts.parquet")
        rows = {name: [item.get(name) or "" for item in items] for name in ("question", "answer")}
        pq.write_table(pa.table(rows), f"{place}/items.parquet")
        script = Path(__file__).with_name("decontaminate_text_peer.py")
        command = [python, str(script), f"{place}/items.parquet", f"{place}/texts.parquet"]
        answer = subprocess.run(command, check=True, capture_output=True, text=True)
    return {"what": "datatrove n-grams", **json.loads(answer.stdout.splitlines()[-1])}


def recall(data: Path) -> Iterator[dict[str, Any]]:
    """Percent of planted variants found, by length of the question, and of held-out questions flagged."""
    random.seed(0)
    everything = [item for item in exam_items(data) if item.get("options")]
    random.shuffle(everything)
    held_out, indexed = everything[:2000], everything[2000:]
    index = TextIndex.of(items_of(indexed), TextSettings())
    background = samples_of([{"turns": [{"role": "text", "text": text}]} for text in training_texts(data)])
    index = index.weighted(index.background(background), background.num_rows)
    grams = {n: {gram for item in indexed for gram in ngrams(words(item["question"]), n)} for n in (8, 13)}
    fillers = " ".join(training_texts(data)[:3000]).split()
    for name, variant in VARIANTS.items():
        for bucket, (low, high) in BUCKETS.items():
            chosen = [n for n, item in enumerate(indexed) if low <= len(words(item["question"])) <= high][:PER_BUCKET]
            texts = [variant(indexed[n], fillers) for n in chosen]
            found = strong(index, texts)
            ours = sum(n in found.get(row, ()) for row, n in enumerate(chosen))
            yield {"variant": name, "tokens": bucket, "planted": len(chosen),
                   "curate": percent(ours, len(chosen)), **baselines(texts, grams)}  # fmt: skip
    texts = [f"{item['question']} {' '.join(item['options'])}" for item in held_out]
    found = strong(index, texts)
    yield {"variant": "held out, other questions", "planted": len(texts), "curate": percent(len(found), len(texts)),
           **baselines(texts, grams)}  # fmt: skip


def rewordings(data: Path) -> Iterator[dict[str, Any]]:
    """Of 99 exam questions and the same rewritten: how many are found, and how many of the mismatched pairs are."""
    rows = json.loads((data / "train_huatuo_o1_demo/data/demo_data.json").read_text())
    items = [{"question": row["question"], "answer": row["answer"]} for row in rows]
    asked = [(row["Open-ended Verifiable Question"], row["Ground-True Answer"]) for row in rows]
    index = TextIndex.of(items_of(items), TextSettings())
    samples = samples_of(
        [
            {"turns": [{"role": "user", "text": text}, {"role": "assistant", "text": answer}], "question": text,
             "answer": answer}
            for text, answer in asked
        ]
    )  # fmt: skip
    hits = [hit for hit in scan_texts(index, samples).to_pylist() if hit["grade"] in STRONG]
    pairs = {(hit["row"], hit["item"]) for hit in hits if hit["alone"] or hit["answer"]}
    yield {"what": "curate", "found": sum(row == item for row, item in pairs), "of": len(rows),
           "mismatched": sum(row != item for row, item in pairs), "of_pairs": len(rows) * (len(rows) - 1)}  # fmt: skip
    tokens = [(words(item["question"]), words(text)) for item, (text, _) in zip(items, asked, strict=True)]
    for n in (13, 8):
        own, other = ([set(ngrams(both[side], n)) for both in tokens] for side in (0, 1))
        shared = [(row, item) for row in range(len(rows)) for item in range(len(rows)) if own[item] & other[row]]
        yield {"what": f"{n}-gram", "found": sum(row == item for row, item in shared), "of": len(rows),
               "mismatched": sum(row != item for row, item in shared)}  # fmt: skip
    halves = [baselines([text], {8: set(ngrams(own, 8)), 13: set()})["8-gram half"]
              for (own, _), (text, _) in zip(tokens, asked, strict=True)]  # fmt: skip
    yield {"what": "8-gram half", "found": sum(half > 0 for half in halves), "of": len(rows)}


def strong(index: TextIndex, texts: list[str]) -> dict[int, set[int]]:
    """Items found in each text, by itself or with the answer."""
    found: dict[int, set[int]] = {}
    for hit in scan_texts(
        index, samples_of([{"turns": [{"role": "user", "text": text}]} for text in texts])
    ).to_pylist():
        if hit["grade"] in STRONG and (hit["alone"] or hit["answer"]):
            found.setdefault(hit["row"], set()).add(hit["item"])
    return found


def baselines(texts: list[str], grams: dict[int, set[str]]) -> dict[str, float]:
    """Percent of texts with any shared 13-gram, any shared 8-gram, and half of their tokens in shared 8-grams."""
    shared = {n: sum(any(gram in grams[n] for gram in ngrams(words(text), n)) for text in texts) for n in (13, 8)}
    covered = 0
    for text in texts:
        tokens = words(text)
        inside = np.zeros(len(tokens), bool)
        for k, gram in enumerate(ngrams(tokens, 8)):
            if gram in grams[8]:
                inside[k : k + 8] = True
        covered += bool(len(tokens) and inside.mean() >= 0.5)
    return {"13-gram": percent(shared[13], len(texts)), "8-gram": percent(shared[8], len(texts)),
            "8-gram half": percent(covered, len(texts))}  # fmt: skip


def percent(part: int, whole: int) -> float:
    """Of a whole, one decimal."""
    return round(100 * part / max(1, whole), 1)


def words(text: str) -> list[str]:
    """Words as n-gram tools see them."""
    return re.findall(r"[^\W_]+", html.unescape(text).lower())


def ngrams(tokens: list[str], n: int) -> list[str]:
    """All of them."""
    return [" ".join(tokens[k : k + n]) for k in range(len(tokens) - n + 1)]


def _filler(fillers: list[str]) -> str:
    start = random.randrange(len(fillers) - 200)
    return " ".join(fillers[start : start + 200])


def _edited(question: str, fillers: list[str], share: float) -> str:
    return " ".join(random.choice(fillers) if random.random() < share else word for word in question.split())


def _lines(item: Item) -> str:
    tokens = item["question"].split()
    return "\n".join("- " + " ".join(tokens[k : k + 8]) for k in range(0, len(tokens), 8)) + "\n" + item["answer"]


def _noise(text: str) -> str:
    return text.replace(" ", "\u00a0", 3).replace("e", "e\u200b", 4).replace('"', "&quot;")


def _optioned(item: Item) -> str:
    options = random.sample(item["options"], len(item["options"]))
    return " ".join(f"({letter}) {option}" for letter, option in zip("ABCDE", options, strict=False))


VARIANTS: dict[str, Callable[[Item, list[str]], str]] = {
    "verbatim": lambda item, _: f"Q: {item['question']}\nA: {item['answer']}",
    "lower case, no punctuation": lambda item, _: re.sub(
        r"[^\w\s]", " ", f"{item['question']} {item['answer']}".lower()
    ),
    "lines of 8 words": lambda item, _: _lines(item),
    "inside 400 words": lambda item, fillers: (
        f"{_filler(fillers)} {item['question']} {item['answer']} {_filler(fillers)}"
    ),
    "10 % of words replaced": lambda item, fillers: _edited(item["question"], fillers, 0.1) + " " + item["answer"],
    "20 % of words replaced": lambda item, fillers: _edited(item["question"], fillers, 0.2) + " " + item["answer"],
    "first 60 %": lambda item, _: " ".join(item["question"].split()[: int(0.6 * len(item["question"].split()))]),
    "options between": lambda item, _: f"{item['question']} {_optioned(item)} Correct: {item['answer']}",
    "HTML and Unicode noise": lambda item, _: f"{_noise(item['question'])} &mdash; {item['answer']}",
    "no answer": lambda item, _: str(item["question"]),
}


def exam_items(data: Path) -> list[Item]:
    """MedQA, MedMCQA and MMLU of MIRAGE."""
    raw = data / "eval_mirage_raw/rawdata"
    items: list[Item] = []
    for line in (
        (raw / "medqa/data_clean/questions/US/4_options/phrases_no_exclude_test.jsonl").read_text().splitlines()
    ):
        row = json.loads(line)
        items.append({"question": row["question"], "answer": row["answer"], "options": list(row["options"].values())})
    for line in (raw / "medmcqa/data/dev.json").read_text().splitlines():
        row = json.loads(line)
        options = [row["op" + letter] for letter in "abcd"]
        answer = options[row["cop"] - 1]
        items.append({"question": row["question"], "answer": answer, "options": options, "rationale": row["exp"]})
    for path in sorted((raw / "mmlu/data/test").glob("*.csv")):
        for question, *options, letter in csv.reader(path.open()):
            items.append({"question": question, "answer": options["ABCD".index(letter)], "options": options})
    return items


def filled(items: list[Item], count: int) -> list[Item]:
    """The items, and then questions made of pieces of two to five words of theirs, until there are so many."""
    random.seed(1)
    tokens = [word for item in items for word in f"{item['question']} {item.get('rationale') or ''}".split()]
    items = items[:count]
    while len(items) < count:
        made: list[str] = []
        size = random.randint(6, 60)
        while len(made) < size:
            start = random.randrange(len(tokens) - 6)
            made += tokens[start : start + random.randint(2, 5)]
        items.append({"question": " ".join(made), "answer": random.choice(items)["answer"]})
    return items


def training_texts(data: Path) -> list[str]:
    """Dialogues, answers, notes and abstracts."""
    texts = [
        f"{row['instruction']}\n{row['input']}\n{row['output']}"
        for row in json.loads((data / "text_chatdoctor/chatdoctor5k.json").read_text())
    ]
    for path in sorted((data / "text_medquad").rglob("*.xml")):
        texts += [
            re.sub(r"\s+", " ", answer) for answer in re.findall(r"<Answer>(.*?)</Answer>", path.read_text(), re.DOTALL)
        ]
    for folder in ("text_mts_dialog", "text_aci_bench"):
        for path in sorted((data / folder).rglob("*.csv")):
            texts += [" ".join(row) for row in csv.reader(path.open())]
    return [text for text in texts if text]


def items_of(rows: list[Item]) -> pa.Table:
    """ITEMS of some fields each."""
    common = {"eval_set": "exam", "license": "MIT", "access": "open", "digest": "0"}
    return pa.Table.from_pylist([{**common, "eval_id": str(n), **row} for n, row in enumerate(rows)], schema=ITEMS)


def samples_of(rows: list[Item]) -> pa.Table:
    """SAMPLES of some columns each."""
    common = {"source": "made", "source_key": "k", "task": "text", "license": "MIT", "access": "open"}
    return pa.Table.from_pylist(
        [{**common, "sample_id": f"{n:032x}", **row} for n, row in enumerate(rows)], schema=SAMPLES
    )


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """What it gives, and seconds of CPU time of this thread."""
    started = time.thread_time()
    given = work()
    return given, time.thread_time() - started


def held(index: TextIndex) -> float:
    """MB of arrays that a worker holds for an index."""
    parts = [*vars(index).values(), *index.vocabulary, *(array for part in search_of(index)[:3] for array in part)]
    return sum({id(part): part.nbytes for part in parts if isinstance(part, np.ndarray)}.values()) / 1e6


if __name__ == "__main__":
    sys.exit(main())
