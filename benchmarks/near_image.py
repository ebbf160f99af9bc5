"""What near_image finds and what it leaves alone: `python -m benchmarks.near_image --data DIR [--json] [--part ...]`.

`planted`: 200 pictures x 30 transforms; recall with Wilson intervals of nomination, of verification, and of both in a
row; of the films among them beside the published figures, and what is below those. `films`: no two patients of
nih_films merged; every pair nominated, the 600 likest others, and all follow-ups.
`leaks`: the pairs of leaks/images_*_pairs.jsonl, by kind; disagreements as pictures side by side in `--shown`.
`speed`: fingerprints against `imagehash.phash`, nomination against `faiss.IndexBinaryFlat`, seconds of verification.
"""

import argparse
import json
import math
import random
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import Pool
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from benchmarks.near_image_speed import speed
from benchmarks.planted import PUBLISHED_HASH, TRANSFORMS, Grey, longest, published_verified
from dedup.fingerprints import HASH_BYTES, distances, fingerprint_of
from dedup.images import RADIUS, candidate_distances
from dedup.picture_bands import bands_of
from dedup.picture_rules import rule_for
from dedup.verify_pictures import Match, Prepared, prepare, verify_pictures
from filters.statistics import MEASURED_SIDE, grey_of
from sources.pictures import thumbnail_only

PARTS = ("planted", "films", "leaks", "speed")
PLANTED_FILMS, PLANTED_OTHERS = 150, 50
PLANTED_SIDE = 768
OTHERS = ("mri", "ct", "ultrasound", "fundus", "endoscopy", "dermoscopy")
HARDEST = 600
PUBLISHED_RADIUS = 64
MODALITY = {"chest_xray": "xray", "mri": "mri", "ct": "ct", "ultrasound": "ultrasound", "fundus": "fundus"}
MODALITY |= {"endoscopy": "endoscopy", "dermoscopy": "dermoscopy", "microscopy_blood": "microscopy", "oct": "oct"}


def wilson(found: int, of: int) -> tuple[float, float]:
    """The 95 % interval of a share, in percent (Wilson, JASA 1927)."""
    z, share = 1.96, found / of
    middle, half = share + z * z / (2 * of), z * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    low, high = ((middle + sign * half) / (1 + z * z / of) for sign in (-1, 1))
    return round(100 * max(low, 0), 1), round(100 * min(high, 1), 1)


@lru_cache(300)
def grey(path: Path) -> Grey:
    """A picture as the step opens it."""
    return grey_of(thumbnail_only(path.read_bytes(), side=1024))


@lru_cache(300)
def ready(path: Path) -> Prepared:
    """The same, ready to be compared."""
    return prepare(grey(path))


@dataclass(frozen=True)
class Prints:
    """What a build measures of a picture to nominate it by: hashes 9 x 32 (raw, canonical in eight orientations)."""

    hashes: npt.NDArray[np.uint8]
    waves: npt.NDArray[np.int8]
    usable: bool


def prints(picture: Grey) -> Prints:
    """As a build measures them."""
    image = Image.fromarray(picture)
    factor = max(min(image.size) // MEASURED_SIDE, 1)
    found = fingerprint_of(np.asarray(image.reduce(factor) if factor > 1 else image))
    hashes = np.frombuffer(found.pdq + found.oriented, np.uint8).reshape(-1, HASH_BYTES)
    return Prints(hashes, np.frombuffer(found.waves, np.int8), found.usable)


@dataclass(frozen=True)
class Nominated:
    """Whether two pictures are within the radius, also share a band, and are so by upright canonical hashes alone.

    The last is what the published table is of: within `PUBLISHED_RADIUS`, where no two patients' films are.
    """

    near: bool
    banded: bool
    canonical: bool


def nominated(a: Prints, b: Prints) -> Nominated:
    """What nomination says of two pictures."""
    if not (a.usable and b.usable):
        return Nominated(near=False, banded=False, canonical=False)
    canonical = bool(distances(a.hashes[1], b.hashes[1]) <= PUBLISHED_RADIUS)
    if candidate_distances(a.hashes[None], b.hashes[None])[0] > RADIUS:
        return Nominated(near=False, banded=False, canonical=canonical)
    digests, _ = bands_of({"waves": np.stack([a.waves, b.waves])}, RADIUS)
    return Nominated(near=True, banded=bool(np.intersect1d(digests[0], digests[1]).size), canonical=canonical)


def manifest(data: Path) -> list[dict[str, str]]:
    """The rows of images/manifest.csv."""
    import csv

    with (data / "images" / "manifest.csv").open(newline="") as rows:
        return [row for row in csv.DictReader(rows) if row["modality"] != "broken"]


def films_of(data: Path) -> list[Path]:
    """The chest films, named patient_study."""
    return sorted((data / "images" / "nih_films").glob("*.jpg"))


def planted_pictures(data: Path) -> list[Path]:
    """150 films and 50 pictures of other kinds."""
    by_modality: dict[str, list[Path]] = defaultdict(list)
    for row in manifest(data):
        by_modality[row["modality"]].append(data / row["path"])
    rng = random.Random(4)
    others = [path for name in OTHERS for path in rng.sample(sorted(by_modality[name]), min(len(by_modality[name]), 9))]
    return [*films_of(data)[:PLANTED_FILMS], *others[:PLANTED_OTHERS]]


def kinds_of(data: Path) -> dict[Path, str]:
    """The modality of each picture, by which its rule is chosen; films are known to be X-rays."""
    kinds = {data / row["path"]: MODALITY.get(row["modality"], "unknown") for row in manifest(data)}
    return kinds | dict.fromkeys(films_of(data), "xray")


def _plant(task: tuple[int, Path, tuple[Path, ...], str]) -> list[tuple[str, Nominated, Match]]:
    seed, path, others, kind = task
    original, beside = (longest(grey(path), PLANTED_SIDE), [longest(grey(other), PLANTED_SIDE) for other in others])
    known, known_prints = prepare(original), prints(original)
    found = []
    for name, transform in TRANSFORMS.items():
        variant = transform(original, seed, beside)
        found.append((name, nominated(prints(variant), known_prints), verify_pictures(variant, known, rule_for(kind))))
    return found


def planted(data: Path) -> list[dict[str, Any]]:
    """Recall by transform."""
    pictures, kinds = planted_pictures(data), kinds_of(data)
    tasks = [
        (seed, path, tuple(pictures[(seed + step) % len(pictures)] for step in (37, 91, 113)), kinds[path])
        for seed, path in enumerate(pictures)
    ]
    with Pool(2) as pool:
        found = [row for rows in pool.imap(_plant, tasks, chunksize=2) for row in rows]
    return [_row([row for row in found if row[0] == name]) for name in TRANSFORMS]


def _row(found: Sequence[tuple[str, Nominated, Match]]) -> dict[str, Any]:
    """Of one transform: shares with intervals beside the published ones, and which of those are missed.

    `hash` and `verified` are of films only, as published; everything else is of all pictures.
    """
    name, films = found[0][0], found[:PLANTED_FILMS]
    copies = [match.verdict == "duplicate" for _, _, match in found]
    counts = {
        "nominated": (sum(one.banded for _, one, _ in found), len(found)),
        "verified": (sum(copies), len(found)),
        "found": (sum(one.banded and copy for (_, one, _), copy in zip(found, copies, strict=True)), len(found)),
        "films_nominated": (sum(one.banded for _, one, _ in films), len(films)),
        "films_canonical": (sum(one.canonical for _, one, _ in films), len(films)),
        "films_verified": (sum(copies[: len(films)]), len(films)),
    }
    row: dict[str, Any] = {"transform": name, "pictures": len(found), "films": len(films)}
    for label, (count, of) in counts.items():
        row |= {label: count, f"{label}_interval": wilson(count, of)}
    row["within_radius"] = sum(one.near for _, one, _ in found)
    row["ncc_p5"] = round(float(np.percentile([match.ncc for _, _, match in found], 5)), 3)
    row["published_hash"], row["published_verified"] = PUBLISHED_HASH.get(name), published_verified(name)
    low = row["published_hash"] is not None and 100 * row["films_nominated"] / len(films) < row["published_hash"]
    weak = 100 * row["films_verified"] / len(films) < row["published_verified"]
    row["below"] = [label for label, missed in (("hash", low), ("verified", weak)) if missed]
    return row


def _compare(pair: tuple[Path, Path]) -> Match:
    return verify_pictures(ready(pair[0]), ready(pair[1]), rule_for("xray"))


def films(data: Path) -> dict[str, Any]:
    """Pairs of different patients and follow-ups, with the verdicts on them."""
    paths = films_of(data)
    patients = np.array([int(path.name.split("_")[0]) for path in paths])
    known = np.stack([prints(grey(path)).hashes for path in paths])
    first, second = np.triu_indices(len(paths), 1)
    apart = candidate_distances(known[first], known[second])
    same = patients[first] == patients[second]
    order = np.argsort(np.where(same, 999, apart), kind="stable")
    hard = order[: max(HARDEST, int((~same & (apart <= RADIUS)).sum()))]
    tiles = np.stack([cv2.resize(ready(path).levels, (32, 32), interpolation=cv2.INTER_AREA).ravel() for path in paths])
    alike = np.corrcoef(tiles)[first, second]
    likest = np.argsort(np.where(same, 9, -alike), kind="stable")[:HARDEST]
    chosen = sorted(set(hard.tolist()) | set(likest.tolist()))
    follow_ups = np.flatnonzero(same).tolist()
    with Pool(2) as pool:
        tasks = [(paths[first[z]], paths[second[z]]) for z in (*chosen, *follow_ups)]
        matches = pool.map(_compare, tasks, chunksize=8)
    others, again = matches[: len(chosen)], matches[len(chosen) :]
    strongest = sorted(range(len(again)), key=lambda z: -again[z].ncc)[:5]
    return {
        "pairs_of_different_patients": int((~same).sum()),
        "nominated": int((~same & (apart <= RADIUS)).sum()),
        "closest": int(apart[~same].min()),
        "verified": len(chosen),
        "merged": sum(match.verdict == "duplicate" for match in others),
        "related": sum(match.verdict == "related" for match in others),
        "highest_ncc": round(max(match.ncc for match in others), 3),
        "most_inliers": max(match.inliers for match in others),
        "follow_ups": len(again),
        "follow_ups_merged": [tasks[len(chosen) + z] for z in range(len(again)) if again[z].verdict == "duplicate"],
        "follow_ups_related": sum(match.verdict == "related" for match in again),
        "highest_of_follow_ups": [round(again[z].ncc, 3) for z in strongest],
    }


def leak_pairs(data: Path) -> list[dict[str, Any]]:
    """Every pair of the two files."""
    files = [data / "leaks" / f"images_{name}_dataset_pairs.jsonl" for name in ("cross", "within")]
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def _judge(task: tuple[Path, Path, str]) -> tuple[bool, bool, Match]:
    a, b, modality = task
    one = nominated(prints(grey(a)), prints(grey(b)))
    return one.near, one.banded, verify_pictures(ready(a), ready(b), rule_for(modality))


def leaks(data: Path, shown: Path | None) -> dict[str, Any]:
    """Shares found by verdict, kind and first data set, and the disagreements."""
    pairs = leak_pairs(data)
    kinds = kinds_of(data)
    tasks = [(data / pair["a"], data / pair["b"], kinds.get(data / pair["a"], "unknown")) for pair in pairs]
    with Pool(2) as pool:
        judged = pool.map(_judge, tasks, chunksize=8)
    table: dict[str, Counter[str]] = defaultdict(Counter)
    wrong = []
    for pair, (near, banded, match) in zip(pairs, judged, strict=True):
        merged = banded and match.verdict == "duplicate"
        cell = table[f"{pair['verdict']} / {pair['kind']}"]
        cell.update(pairs=1, within_radius=near, nominated=banded, verified=match.verdict == "duplicate", merged=merged)
        if merged != (pair["verdict"] == "duplicate") and pair["verdict"] != "probable":
            wrong.append((pair, banded, match))
    if shown is not None:
        _show(data, wrong, shown)
    verdicts: dict[str, Counter[str]] = defaultdict(Counter)
    for name, cell in table.items():
        verdicts[name.split(" / ")[0]].update(cell)
    listed = [
        {**{key: pair[key] for key in ("a", "b", "verdict", "kind")}, "nominated": banded, "ours": match.verdict,
         "ncc": round(match.ncc, 3), "inliers": match.inliers}
        for pair, banded, match in wrong
    ]  # fmt: skip
    return {"by_kind": table, "by_verdict": verdicts, "disagreements": listed}


def _show(data: Path, wrong: Sequence[tuple[dict[str, Any], bool, Match]], folder: Path) -> None:
    """Each disagreement as one picture: both sides, and the first laid as found."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, (pair, banded, match) in enumerate(wrong):
        sides = [longest(grey(data / pair[side]), 400) for side in ("a", "b")]
        height = max(side.shape[0] for side in sides)
        tiles = [
            cv2.copyMakeBorder(side, 0, height - side.shape[0], 0, 8, cv2.BORDER_CONSTANT, value=255) for side in sides
        ]
        words = (f"{number:03d}", pair["verdict"][:9], pair["kind"], "near" if banded else "far", match.verdict)
        name = f"{'_'.join(words)}_{match.ncc:.2f}.png"
        Image.fromarray(np.hstack(tiles)).save(folder / name)


def main() -> None:
    """Print tables, or with `--json` one object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the shared test data")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--part", choices=PARTS, action="append", help="only this one; may be given several times")
    parser.add_argument("--shown", type=Path, help="folder for pictures of the disagreements")
    options = parser.parse_args()
    runs = {
        "planted": lambda: planted(options.data), "films": lambda: films(options.data),
        "leaks": lambda: leaks(options.data, options.shown), "speed": lambda: speed(options.data),
    }  # fmt: skip
    answers: dict[str, Any] = {}
    for part in options.part or PARTS:
        started = time.monotonic()
        answers[part] = runs[part]()
        answers[f"{part}_s"] = round(time.monotonic() - started, 1)
        if not options.json:
            _print(part, answers[part], answers[f"{part}_s"])
    if options.json:
        print(json.dumps(answers, default=str))


def _print(part: str, answer: Any, seconds: float) -> None:
    print(f"== {part} ({seconds} s)")
    if part == "planted":
        print(f"{'transform':<26} {'n':>4}  nominated           verified            found               "
              "films: canonical nominated (published) | verified (published)")  # fmt: skip
        for row in answer:
            print(_planted_line(row))
    elif part == "leaks":
        for name, cell in (*sorted(answer["by_kind"].items()), *answer["by_verdict"].items()):
            print(f"{name:<46}", dict(cell))
        for row in answer["disagreements"]:
            print(row)
    else:
        for name, value in answer.items():
            print(f"{name:<34} {value}")


def _planted_line(row: dict[str, Any]) -> str:
    cells = [
        f"{100 * row[name] / row['pictures']:5.1f} {row[f'{name}_interval']!s:<14}"
        for name in ("nominated", "verified", "found")
    ]
    films = [f"{100 * row[f'films_{name}'] / row['films']:5.1f}" for name in ("canonical", "nominated", "verified")]
    published = ("" if row[name] is None else row[name] for name in ("published_hash", "published_verified"))
    before, after = (f"({figure:>3})" for figure in published)
    below = "BELOW: " + ", ".join(row["below"]) if row["below"] else ""
    name = f"{row['transform']:<26} {row['pictures']:>4}"
    return f"{name} {' '.join(cells)} {films[0]} {films[1]} {before} | {films[2]} {after} {below}"


if __name__ == "__main__":
    main()
