"""Trains the network of `filters/watermark.py`: `python -m benchmarks.watermark_fit [--steps N] [--to FILE]`.

Marks of `benchmarks/watermark_marks.py` are drawn over real pictures of the sets for fitting
(`benchmarks/watermarks.py`), turned, zoomed, with other gamma, noise and gutters; on a third of all there are opaque
words, arrows and boxes, a tenth are made-up charts and pages of text, a tenth figures of many pictures: none of these
is a mark. Each cell of 16 x 16 pixels is told whether a mark covers it; cells that it barely touches or changes have
no say. Needs PyTorch; two cores take half an hour.
"""

import argparse
import multiprocessing
import random
import string
import time
from contextlib import suppress
from pathlib import Path
from queue import Empty
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from benchmarks.watermark_grounds import annotated, figure, kept_as, page, varied
from benchmarks.watermark_marks import FIT_FONTS, FIT_WORDS, KINDS, Cover, cover_of, fonts_in
from benchmarks.watermarks import CHOSEN, halved, pictures, trained_on
from filters.burned_in import Grey
from filters.modality_head import npz_bytes
from filters.watermark import CELL, CENTRE, LAYERS, SCALE, SHIPPED, fitted_to_network

CROP, BATCH, STEPS = 224, 64, 2800
COVERED, CHANGED = 0.02, 10
"""Share of a cell that a mark covers, and grey levels by which it changes them, at least."""
RATE, DECAY = 3e-3, 1e-3
Arrays = tuple[npt.NDArray[Any], ...]


def example(grounds: list[Grey], rng: random.Random, fonts: list[str]) -> tuple[Grey, Cover, npt.NDArray[Any]]:
    """A picture, what a mark covers of it (of 0.6 of them), and by how much it changes it."""
    drawn = rng.random()
    made_up = drawn < 0.2
    grey = page(rng, fonts) if drawn < 0.1 else figure(grounds, rng, fonts) if made_up else rng.choice(grounds)
    if rng.random() < 0.5:
        grey = grey[:, ::-1]
    if rng.random() < 0.3:
        grey = np.rot90(grey, rng.randrange(1, 4))
    grey = np.ascontiguousarray(grey) if made_up else varied(np.ascontiguousarray(grey), rng)
    if rng.random() < 0.35:
        grey = annotated(grey, rng, fonts)
    cover: Cover = np.zeros(grey.shape, np.float32)
    out = grey
    if rng.random() < 0.6:
        letters = "".join(rng.choice(string.ascii_letters + " .") for _ in range(rng.randrange(4, 14)))
        cover = cover_of(grey.shape, rng.choice(KINDS), rng, fonts, FIT_WORDS if rng.random() < 0.5 else [letters])
        if rng.random() < 0.2:
            cover = (
                _outlined(cover) if rng.random() < 0.5 else np.asarray(cv2.GaussianBlur(cover, (0, 0), 0.7), np.float32)
            )
        opacity, colour = rng.uniform(0.13, 0.62), rng.choice((255, 255, 255, 255, 0, 0, 200, 90, 128))
        colour = max(colour, 128) if grey.mean() < 60 else colour
        out = np.round(grey * (1 - opacity * cover) + opacity * cover * colour).astype(np.uint8)
    out = kept_as(out, rng)
    return out, cover, cv2.absdiff(out, grey) * (cover > 0.4)


def cropped(out: Grey, cover: Cover, change: npt.NDArray[Any], rng: random.Random) -> Arrays:
    """CROP x CROP pixels, whether each cell is marked, and whether it has a say."""
    top, left = (rng.randrange(max(size - CROP, 0) + 1) for size in out.shape)
    inside = np.zeros((CROP, CROP), np.float32)
    cut = [one[top : top + CROP, left : left + CROP] for one in (out, cover > 0.4, change)]
    height, width = cut[0].shape
    inside[:height, :width] = 1
    pixels, covered, changed = (
        np.pad(one, ((0, CROP - height), (0, CROP - width)), constant_values=CENTRE if number == 0 else 0)
        for number, one in enumerate(cut)
    )
    share, seen = _of_cells(covered), _of_cells(changed)
    told = (share == 0) | ((share > COVERED) & (seen > CHANGED * share))
    return pixels, (share > COVERED).astype(np.float32), (told & (_of_cells(inside) > 0.5)).astype(np.float32)


def batches(seed: int, queue: Any) -> None:
    """Fill the queue with BATCH crops at a time, two of each picture."""
    cv2.setNumThreads(1)
    rng, fonts = random.Random(seed), fonts_in(FIT_FONTS)
    grounds: dict[str, list[Grey]] = {name: [] for name in CHOSEN}
    for path, name, _, grey in pictures(fitted=True):
        if min(grey.shape) >= 64 and trained_on(path, name):
            grounds[name].append(fitted_to_network(halved(grey)))
    names, weights = list(CHOSEN), list(CHOSEN.values())
    while True:
        made = [example(grounds[name], rng, fonts) for name in rng.choices(names, weights, k=BATCH // 2)]
        crops = [cropped(*one, rng) for one in made for _ in range(2)]
        queue.put(tuple(np.stack([crop[part] for crop in crops]) for part in range(3)))


def network() -> nn.Sequential:
    """LAYERS, with batch normalisation and ReLU after each but the last."""
    parts: list[nn.Module] = []
    for given, made, kernel, stride, dilation in LAYERS[:-1]:
        padding = dilation * (kernel // 2)
        parts += [
            nn.Conv2d(given, made, kernel, stride, padding, dilation, bias=False),
            nn.BatchNorm2d(made),
            nn.ReLU(),
        ]
    return nn.Sequential(*parts, nn.Conv2d(*LAYERS[-1][:3]))


def trained(steps: int) -> nn.Sequential:
    """The network after so many batches, the rate falling like a cosine."""
    queue: Any = multiprocessing.Queue(20)
    maker = multiprocessing.Process(target=batches, args=(1, queue), daemon=True)
    maker.start()
    net, started = network(), time.monotonic()
    optimiser = torch.optim.AdamW(net.parameters(), RATE, weight_decay=DECAY)
    for step in range(steps):
        falling = 0.5 * (1 + np.cos(np.pi * step / steps)) + 0.01
        optimiser.param_groups[0]["lr"] = RATE * min(1, (step + 1) / 50) * falling
        pixels, marked, told = (torch.from_numpy(one).float() for one in _next(queue, maker))
        scores = net((pixels[:, None] - CENTRE) / SCALE)[:, 0]
        losses = nn.functional.binary_cross_entropy_with_logits(scores, marked, reduction="none")
        loss = (losses * told).sum() / told.sum()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        if step % 50 == 49:
            print(f"{step + 1} steps in {time.monotonic() - started:.0f} s, loss {loss.item():.4f}", flush=True)
    maker.terminate()
    return net.eval()


def _next(queue: Any, maker: multiprocessing.Process) -> Arrays:
    """The next batch.

    Raises:
        SystemExit: the process that makes them has ended, and has said why.
    """
    while maker.is_alive() or not queue.empty():
        with suppress(Empty):
            made: Arrays = queue.get(timeout=5)
            return made
    raise SystemExit("no pictures are made any more")


def folded(net: nn.Sequential) -> dict[str, npt.NDArray[np.float16]]:
    """`weight0`, `bias0` ... with the normalisation in them, as halves."""
    modules = list(net)
    found: dict[str, npt.NDArray[np.float16]] = {}
    for number in range(len(LAYERS)):
        convolution: Any = modules[3 * number]
        weight = convolution.weight.detach().double().numpy()
        bias = np.zeros(len(weight)) if convolution.bias is None else convolution.bias.detach().double().numpy()
        if number < len(LAYERS) - 1:
            norm: Any = modules[3 * number + 1]
            gain, shift, mean, variance = (
                one.detach().double().numpy() for one in (norm.weight, norm.bias, norm.running_mean, norm.running_var)
            )
            scale = gain / np.sqrt(variance + norm.eps)
            weight, bias = weight * scale[:, None, None, None], shift - mean * scale
        found |= {f"weight{number}": weight.astype(np.float16), f"bias{number}": bias.astype(np.float16)}
    return found


def main() -> None:
    """Train, and write the weights."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--steps", type=int, default=STEPS)
    arguments.add_argument("--to", type=Path, default=SHIPPED)
    given = arguments.parse_args()
    torch.manual_seed(0)
    given.to.write_bytes(npz_bytes(folded(trained(given.steps))))


def _outlined(cover: Cover) -> Cover:
    window = np.ones((3, 3), np.uint8)
    return np.asarray(np.clip(cv2.dilate(cover, window) - cv2.erode(cover, window), 0, 1), np.float32)


def _of_cells(values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    cells = CROP // CELL
    means: npt.NDArray[np.float64] = values.astype(np.float64).reshape(cells, CELL, cells, CELL).mean((1, 3))
    return means


if __name__ == "__main__":
    main()
