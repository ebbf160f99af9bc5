"""What the picture channel finds and costs: `python -m benchmarks.decontaminate_images --data DIR [--part ...]`.

`planted`: `--pictures` x 30 transforms looked up in an index of 350 pictures; recall with Wilson intervals of
nomination and of finding, and findings on other pictures. `films`: each film looked up among all others; findings
between patients, follow-ups, share sent to verification. `leaks`: the pairs of leaks/ that cross a split or two sets.
`speed`: CPU milliseconds a training picture, beside a bare decode and `imagehash.phash`; memory and time by index size.
"""

import argparse
import functools
import io
import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from multiprocessing import Pool
from pathlib import Path
from typing import Any

import imagehash
import numpy as np
import pyarrow as pa
from PIL import Image

from benchmarks.near_image import films_of, grey, kinds_of, manifest, planted_pictures, wilson
from benchmarks.planted import TRANSFORMS, Grey, jpeg, longest, mirrored
from dedup.decontamination.picture_features import features_of
from dedup.decontamination.picture_index import FEATURES, PARTS, PICTURES, PictureIndex
from dedup.decontamination.pictures import KnownParts, PictureHit, scan_picture
from dedup.kernels.local_codes import KEY_BITS

PARTS_OF_IT = ("planted", "films", "leaks", "speed")
SIDE = 768
SIZES = (1_000, 10_000, 100_000)
ENTRIES = 540


@functools.lru_cache(600)
def opened(path: Path) -> Grey:
    """A picture of the shared data, its longer side 768 px at most."""
    found = grey(path)
    return longest(found, SIDE) if max(found.shape) > SIDE else found


def index_of(paths: Sequence[Path]) -> PictureIndex:
    """The index of some files, in order, built in two processes."""
    with Pool(2) as pool:
        return PictureIndex.merged(pool.map(_one, enumerate(paths), chunksize=4))


def _one(numbered: tuple[int, Path]) -> PictureIndex:
    number, path = numbered
    return PictureIndex.of([(number, opened(path), str(path), "")])


class _Scanner:
    """Looks pictures up in the index of some files; one per process."""

    def __init__(self, paths: Sequence[Path], index: PictureIndex) -> None:
        self.index = index
        self.known = KnownParts(index, lambda number: opened(paths[number]))

    def __call__(self, picture: Grey, name: str, modality: str) -> list[PictureHit]:
        return scan_picture(self.index, picture, name, None, self.known, modality)


_SCANNER: list[_Scanner] = []


def _start(paths: Sequence[Path], index: PictureIndex) -> None:
    _SCANNER[:] = [_Scanner(paths, index)]


def scanned(paths: Sequence[Path], work: Callable[[Any], Any], tasks: Sequence[Any]) -> list[Any]:
    """`work` on each task, in two processes that have the index of `paths`."""
    with Pool(2, _start, (paths, index_of(paths))) as pool:
        return pool.map(work, tasks, chunksize=2)


def _plant(task: tuple[int, Path, tuple[Path, ...], str]) -> list[tuple[str, bool, bool, str, int]]:
    number, path, others, kind = task
    original, beside = opened(path), [opened(other) for other in others]
    scanner = _SCANNER[0]
    rows = []
    for name, transform in TRANSFORMS.items():
        variant = transform(original, number, beside)
        pictures = scanner.index.parts["picture"].to_numpy()
        nominated = any(pictures[one.part] == number for one in scanner.index.nominated(variant))
        hits = scanner(variant, "", kind)
        own = [hit for hit in hits if hit.picture == number]
        wrong = 0 if name.startswith("subfig") else len(hits) - len(own)
        rows.append((name, nominated, bool(own), own[0].grade if own else "", wrong))
    return rows


def planted(data: Path, pictures: int) -> list[dict[str, Any]]:
    """Recall by transform."""
    paths, kinds = planted_pictures(data), kinds_of(data)
    chosen = [number * len(paths) // pictures for number in range(pictures)]
    tasks = [
        (
            number,
            paths[number],
            tuple(paths[(number + step) % len(paths)] for step in (37, 91, 113)),
            kinds[paths[number]],
        )
        for number in chosen
    ]
    found = [row for rows in scanned(paths, _plant, tasks) for row in rows]
    table = []
    for name in TRANSFORMS:
        rows = [row for row in found if row[0] == name]
        nominated, hits = (sum(row[column] for row in rows) for column in (1, 2))
        table.append(
            {
                "transform": name, "pictures": len(rows), "nominated": nominated, "found": hits,
                "nominated_interval": wilson(nominated, len(rows)), "found_interval": wilson(hits, len(rows)),
                "grades": dict(Counter(row[3] for row in rows if row[3])), "others": sum(row[4] for row in rows),
            }
        )  # fmt: skip
    return table


def _look(task: tuple[int, Path, str]) -> tuple[int, set[int], int, list[PictureHit]]:
    number, path, kind = task
    scanner = _SCANNER[0]
    picture = opened(path)
    own = scanner.index.parts["picture"].to_numpy()
    sent = [one for one in scanner.index.nominated(picture) if own[one.part] != number]
    pictures = {int(own[one.part]) for one in sent}
    return number, pictures, max((one.votes for one in sent), default=0), scanner(picture, str(path), kind)


def films(data: Path) -> dict[str, Any]:
    """Each film among all: itself is found by its bytes; others must not be, unless of the same patient."""
    paths = films_of(data)
    patients = [path.name.split("_")[0] for path in paths]
    rows = scanned(paths, _look, [(number, path, "xray") for number, path in enumerate(paths)])
    pairs = [(number, hit) for number, _, _, hits in rows for hit in hits if hit.picture != number]
    between = [(number, hit) for number, hit in pairs if patients[number] != patients[hit.picture]]
    counts = Counter(patients)
    return {
        "films": len(paths), "patients": len(counts),
        "ordered pairs of different patients": len(paths) ** 2 - sum(count**2 for count in counts.values()),
        "findings between patients": [(paths[a].name, paths[hit.picture].name, hit.score) for a, hit in between],
        "findings on follow-ups": [
            (paths[a].name, paths[hit.picture].name, hit.score) for a, hit in pairs if (a, hit) not in between
        ],
        "percent sent to verification": round(100 * sum(bool(row[1]) for row in rows) / len(rows), 2),
        "of them with another patient's": sum(
            any(patients[other] != patients[row[0]] for other in row[1]) for row in rows
        ),
    }  # fmt: skip


def _find(task: tuple[int, Path, str, str]) -> tuple[Path, list[PictureHit]]:
    _, path, kind, change = task
    picture = opened(path)
    if change:
        picture = jpeg(mirrored(picture), 50) if change == "flip+jpeg50" else TRANSFORMS[change](picture, 1, [])
    return path, _SCANNER[0](picture, str(path), kind)


def split_leaks(data: Path, file: str, is_eval: Callable[[Path], bool], pool: Sequence[Path]) -> dict[str, Any]:
    """The listed pairs between `pool`'s eval pictures and its others, found or missed by verdict."""
    kinds = kinds_of(data)
    known = [path for path in pool if is_eval(path)]
    tasks = [(0, path, kinds.get(path, "unknown"), "") for path in pool if not is_eval(path)]
    found = {frozenset((path, known[hit.picture])) for path, hits in scanned(known, _find, tasks) for hit in hits}
    listed: dict[frozenset[Path], str] = {}
    for line in (data / "leaks" / file).read_text().splitlines():
        pair = json.loads(line)
        listed[frozenset((data / pair["a"], data / pair["b"]))] = f"{pair['verdict']} / {pair['kind']}"
    table: dict[str, Counter[str]] = defaultdict(Counter)
    for pair, verdict in listed.items():
        if sum(path in known for path in pair) == 1:
            table[verdict]["found" if pair in found else "missed"] += 1
    across = {pair for pair in listed if sum(path in known for path in pair) == 1}
    missed = [sorted(map(str, pair)) for pair in across - found if listed[pair].startswith("duplicate")]
    extra = [sorted(map(str, pair)) for pair in found - listed.keys()]
    return {"pictures": (len(known), len(tasks)), "listed": table, "missed duplicates": missed, "not listed": extra}


def leaks(data: Path) -> dict[str, Any]:
    """Pairs across the split of a set, and across two sets."""
    images = data / "images"
    brain = sorted((images / "brain_mri_sartaj").rglob("*.jp*g"))
    covid = [path for name in ("covid_chestxray_copy", "covid_ozan", "biomedparse_demo")
             for row in manifest(data) if (path := data / row["path"]).is_relative_to(images / name)]  # fmt: skip
    rad = sorted((images / "vqa_rad").rglob("*.jpg"))
    test = {
        json.loads(line)["image"] for line in (data / "leaks/vqa_rad_train_test_images.jsonl").read_text().splitlines()
    }
    known = [path for path in rad if path.name in {Path(name).name for name in test}]
    kinds = kinds_of(data)
    again = {}
    for change in ("flip+jpeg50", "crop20+r300+jpeg40+gamma"):
        rows = scanned(known, _find, [(0, path, kinds.get(path, "unknown"), change) for path in rad])
        own = sum(any(known[hit.picture] == path for hit in hits) for path, hits in rows if path in known)
        others = [(path.name, known[hit.picture].name, hit.score) for path, hits in rows for hit in hits
                  if known[hit.picture] != path]  # fmt: skip
        again[change] = {"found": own, "of": len(known), "on other pictures": others}
    return {
        "brain_mri": split_leaks(
            data, "brain_mri_sartaj_train_test_leaks.jsonl", lambda path: "Testing" in path.parts, brain
        ),
        "covid": split_leaks(
            data, "images_cross_dataset_pairs.jsonl", lambda path: "covid_chestxray_copy" in path.parts, covid
        ),
        "vqa_rad": again,
    }


def speed(data: Path) -> dict[str, Any]:
    """CPU milliseconds."""
    paths = films_of(data)[:30]
    files = [path.read_bytes() for path in paths]
    pictures = [opened(path) for path in paths]
    index, held = index_of(paths[15:]), [opened(path) for path in films_of(data)[31:131]]
    index.nominated(pictures[0])
    found: dict[str, Any] = {
        "decode": _ms(lambda file: Image.open(io.BytesIO(file)).load(), files),
        "imagehash.phash": _ms(lambda file: imagehash.phash(Image.open(io.BytesIO(file))), files),
        "features alone": _ms(features_of, pictures[:15]),
        "nomination": _ms(index.nominated, pictures[:15]),
        "verification of a copy": _ms(
            lambda number: _Scanner(paths[15:], index)(jpeg(pictures[number], 50), "", "xray"), range(15, 30)
        ),
        "indexing an eval picture": _ms(lambda number: _one((0, paths[number])), range(15)),
    }
    for size in SIZES:
        large = filled(index, size)
        nbytes = sum(array.nbytes for array in large.arrays[1:])
        large.nominated(pictures[0])
        found[f"index of {size} pictures"] = {
            "MB": round(nbytes / 1e6, 1), "MB of buckets": round(large.arrays.starts.nbytes / 1e6, 1),
            "nomination": _ms(large.nominated, pictures[:15]), "fewest votes": large.fewest_votes,
            "percent of films sent": round(100 * sum(bool(large.nominated(one)) for one in held) / len(held), 1),
        }  # fmt: skip
    return found


def filled(index: PictureIndex, size: int) -> PictureIndex:
    """An index of `size` pictures: features of real ones with 6 of 64 bits changed, shuffled among pictures."""
    rng = np.random.default_rng(3)
    count = size * ENTRIES
    chosen = rng.integers(0, index.features.num_rows, count)
    keys, codes = index.features["key"].to_numpy()[chosen], index.features["code"].to_numpy()[chosen]
    for _ in range(6):
        codes = codes ^ (np.uint64(1) << rng.integers(0, 64, count).astype(np.uint64))
    for _ in range(2):
        keys = keys ^ (np.int32(1) << rng.integers(0, KEY_BITS, count).astype(np.int32))
    order = np.argsort(keys, kind="stable")
    poses = index.features["pose"].to_numpy()[chosen]
    owners = rng.integers(0, size, count).astype(np.int32)
    columns = (keys[order], codes[order], owners[order], poses[order])
    hashes = [row.tobytes() for row in rng.integers(0, 256, (size, 32), np.uint8)]
    numbers = np.arange(size, dtype=np.int32)
    edges = [np.full(size, edge, np.int32) for edge in (0, SIDE, 0, SIDE)]
    names = [str(number) for number in range(size)]
    return PictureIndex.from_tables(
        {
            "features": pa.table([pa.array(column) for column in columns], FEATURES),
            "parts": pa.table(
                [numbers, *edges, pa.array(hashes, pa.binary(32)), pa.array(hashes, pa.binary(32))], PARTS
            ),
            "pictures": pa.table([numbers, pa.array(names), pa.array(names), np.ones(size, bool)], PICTURES),
        }
    )


def _ms(work: Callable[[Any], Any], values: Sequence[Any]) -> float:
    started = time.process_time()
    for value in values:
        work(value)
    return round((time.process_time() - started) / len(values) * 1e3, 2)


def main() -> None:
    """Print what was found, or with `--json` one object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the shared test data")
    parser.add_argument("--json", action="store_true")
    parser.add_argument(
        "--part", choices=PARTS_OF_IT, action="append", help="only this one; may be given several times"
    )
    parser.add_argument("--pictures", type=int, default=60, help="planted")
    options = parser.parse_args()
    runs = {
        "planted": lambda: planted(options.data, options.pictures), "films": lambda: films(options.data),
        "leaks": lambda: leaks(options.data), "speed": lambda: speed(options.data),
    }  # fmt: skip
    answers = {part: runs[part]() for part in options.part or PARTS_OF_IT}
    if options.json:
        print(json.dumps(answers, default=str))
        return
    for part, answer in answers.items():
        print(f"== {part}")
        for row in answer if isinstance(answer, list) else answer.items():
            print(row if isinstance(row, dict) else f"{row[0]:<40} {json.dumps(row[1], default=str)}")


if __name__ == "__main__":
    main()
