"""A classifier on top of a frozen network's features: small, plain numbers, and honest about what it does not know."""

import hashlib
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

Features = npt.NDArray[np.floating[Any]]
"""N pictures by D features; one more where a network also tells how much colour there is (0 to 1)."""
GREY, COLOUR = 0.005, 0.035
"""Below the one a picture is grey, from the other on coloured: of 315 CT, MR and X-ray pictures that were tinted by
JPEG or a camera the most tinted has 0.027, of 126 blood smears the palest 0.039. Between the two nothing is said."""
GREY_ONLY, COLOURED_ONLY = frozenset({"ct", "mri"}), frozenset({"dermoscopy", "endoscopy"})
"""X-ray films that were photographed are tinted, ultrasound has Doppler; slides and eyes are photographed in grey."""
UNLIKELY = 0.05
"""Times the probability of what a picture's colour speaks against: fused and false-coloured slices are seldom."""
SHIPPED = Path(__file__).parent / "data" / "modality_efficientnet_lite0.npz"
FORMAT = 1


class HeadError(Exception):
    """A head's file cannot be used. The message says what to do."""


@dataclass(frozen=True)
class Head:
    """Linear scores of features less their mean, one a label; softmax at `temperature` gives probabilities.

    `mean` is of D features, `weights` are C labels x D, `bias` is of C. `network` names whose features they are;
    `recipe` says how it was trained and measured (JSON).
    """

    network: str
    labels: tuple[str, ...]
    mean: npt.NDArray[np.float32]
    weights: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]
    temperature: float
    recipe: dict[str, Any]

    def probabilities(self, features_ND: Features) -> npt.NDArray[np.float64]:
        """N x C, rounded to four digits so that machines that differ in the last bits decide alike.

        With a column more than the head has features, colour has its say: there is no CT in colour.
        """
        chances = softmax(self.scores(features_ND) / self.temperature)
        if features_ND.shape[1] > len(self.mean):
            chances = self._coloured(chances, features_ND[:, len(self.mean)].astype(np.float64))
        return chances.round(4)

    def scores(self, features_ND: Features) -> npt.NDArray[np.float64]:
        """N x C, before the softmax and what colour says."""
        centred = features_ND[:, : len(self.mean)].astype(np.float64) - self.mean
        scores: npt.NDArray[np.float64] = centred @ self.weights.T.astype(np.float64) + self.bias
        return scores

    def _coloured(self, chances: npt.NDArray[np.float64], colour: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        grey_only, coloured_only = (
            np.array([label in those for label in self.labels]) for those in (GREY_ONLY, COLOURED_ONLY)
        )
        against = (colour[:, None] >= COLOUR) & grey_only | (colour[:, None] < GREY) & coloured_only
        found = np.where(against, UNLIKELY * chances, chances)
        summed: npt.NDArray[np.float64] = found / found.sum(axis=1, keepdims=True)
        return summed

    def to_bytes(self) -> bytes:
        """The head's file: an npz of numbers and texts, without pickle; the same bytes for the same head."""
        arrays = {
            "about": np.array(
                orjson.dumps(
                    {
                        "format": FORMAT, "network": self.network, "labels": self.labels,
                        "temperature": self.temperature, "recipe": self.recipe,
                    },
                    option=orjson.OPT_SORT_KEYS,
                ).decode()
            ),
            "mean": self.mean.astype(np.float32),
            "weights": self.weights.astype(np.float16),
            "bias": self.bias.astype(np.float32),
        }  # fmt: skip
        return npz_bytes(arrays)


def npz_bytes(arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """An npz without dates: the same bytes for the same arrays."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, values in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, values, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0)), member.getvalue())
    return out.getvalue()


def read_head(data: bytes, place: str) -> Head:
    """The head of a file's bytes.

    Raises:
        HeadError: they are not one, or of another version; `place` names the file.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            about = orjson.loads(str(arrays["about"]))
            mean, weights, bias = (arrays[name].astype(np.float32) for name in ("mean", "weights", "bias"))
        fits = weights.shape == (len(about["labels"]), len(mean)) and bias.shape == (len(about["labels"]),)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - a broken archive raises whatever its first wrong byte leads to
        raise HeadError(f"{place}: no head that `curate label fit` wrote") from None
    if about.get("format") != FORMAT or not fits:
        raise HeadError(f"{place}: a head of another version; fit it again with `curate label fit`")
    return Head(
        about["network"], tuple(about["labels"]), mean, weights, bias, float(about["temperature"]), about["recipe"]
    )


@lru_cache(maxsize=4)
def load_head(path: Path) -> tuple[Head, str]:
    """A head and the sha256 of its file.

    Raises:
        HeadError: it is not there, or is none.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise HeadError(f"{path}: cannot be read ({error.strerror})") from None
    return read_head(data, str(path)), hashlib.sha256(data).hexdigest()


def softmax(scores_NC: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Rows that sum to one."""
    raised = np.exp(scores_NC - scores_NC.max(axis=1, keepdims=True))
    found: npt.NDArray[np.float64] = raised / raised.sum(axis=1, keepdims=True)
    return found
