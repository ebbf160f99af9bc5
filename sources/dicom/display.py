"""From stored values to displayed ones: the grey pipeline of PS3.4 section N.2, and colour.

Modality LUT or rescale (PS3.3 C.11.1), then VOI LUT or window (C.11.2), then MONOCHROME1 is turned. A VOI LUT goes
before a window where both are there (C.11.2.1 allows either, but not both, to be applied; the LUT is the
manufacturer's own curve), the first window before others, a frame's functional group before the file's attributes
(C.7.6.16.2.9 and .10). Overlays, presentation LUTs and ICC profiles are not applied: PresentationLUTShape says
again what MONOCHROME1 says (C.8.11.3.1).

Without a window, up to 8 stored bits are shown over their whole range, so that an 8-bit picture stays what it is;
deeper ones from the frame's lowest to its highest value, without padding: of 16 stored bits few are ever used.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut

from sources.dicom.values import header_values
from sources.pictures.picture import CtWindows, Pixels

Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Lookup:
    """A lookup table (PS3.3 C.11.1.1.1): `entries` for the inputs from `first`; inputs outside take the ends."""

    first: int
    entries: npt.NDArray[Any]
    bits: int

    def of(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The entry of each value."""
        whole = np.floor(values) if values.dtype.kind == "f" else values.astype(np.int64)
        index = np.clip(whole - self.first, 0, len(self.entries) - 1)
        entries: npt.NDArray[Any] = self.entries[index.astype(np.int64)]
        return entries


@dataclass(frozen=True)
class Window:
    """A window (PS3.3 C.11.2.1.2 and .3): center, width and function."""

    center: float
    width: float
    function: str

    def of(self, values: Values) -> Values:
        """Shares of the output range, 0 to 1."""
        if self.function == "SIGMOID":
            with np.errstate(over="ignore"):
                return 1 / (1 + np.exp(-4 * (values - self.center) / self.width))
        center, width = self.center, self.width
        if self.function == "LINEAR":
            center, width = center - 0.5, width - 1
        if width == 0:
            return (values > center).astype(np.float64)
        return np.clip((values - center) / width + 0.5, 0, 1)


_BONE = Window(-100, 2250, "LINEAR_EXACT")
_SOFT_TISSUE = Window(40, 350, "LINEAR_EXACT")
_BRAIN = Window(40, 80, "LINEAR_EXACT")
CT_WINDOWS: Mapping[CtWindows, tuple[Window, ...]] = {
    "bone": (_BONE,),
    "soft_tissue": (_SOFT_TISSUE,),
    "brain": (_BRAIN,),
    "medgemma": (_BONE, _SOFT_TISSUE, _BRAIN),
}
"""In Hounsfield units: the three that MedGemma shows CT by (arXiv 2507.05201: bone and lung, soft tissue, brain)."""


@dataclass(frozen=True)
class GreyDisplay:
    """All that turns the stored values of one frame into grey."""

    bits: int
    """Stored bits; 0 for floating-point pixels."""
    signed: bool
    inverted: bool
    slope: float = 1.0
    intercept: float = 0.0
    modality: Lookup | None = None
    voi: Lookup | Window | None = None
    padding: tuple[float, float] | None = None
    """Lowest and highest stored value that stands for no measurement."""
    rescaled: bool = False
    """Whether the file says how stored values become measured ones: those of CT are then Hounsfield units."""

    @property
    def most(self) -> int:
        """The brightest displayed value: 8 bits for up to 8 stored bits, else 16."""
        return 255 if 0 < self.bits <= 8 else 65535

    def by_windows(self, stored: npt.NDArray[Any], preset: CtWindows) -> Pixels:
        """Displayed pixels of a frame by fixed windows: 8-bit grey by one, RGB by MedGemma's three in their order."""
        windows = CT_WINDOWS[preset]

        def shown(levels: npt.NDArray[Any]) -> Pixels:
            shares = [window.of(self._measured(levels)) for window in windows]
            stacked = np.stack(shares, axis=-1) if len(shares) > 1 else shares[0]
            return _unsigned(np.floor(stacked * 255 + 0.5), 255)

        return _by_level(stored, shown)

    def of(self, stored: npt.NDArray[Any]) -> Pixels:
        """Displayed pixels of a frame."""
        bounds = self._bounds(stored)
        return _by_level(stored, lambda values: self._shown(values, bounds))

    def _shown(self, stored: npt.NDArray[Any], bounds: tuple[float, float]) -> Pixels:
        values = self._measured(stored)
        if isinstance(self.voi, Window):
            share = self.voi.of(values)
        elif isinstance(self.voi, Lookup):
            share = self.voi.of(values).astype(np.float64) / (2**self.voi.bits - 1)
        else:
            low, high = bounds
            share = (values - low) / (high - low) if high > low else np.zeros(values.shape)
        share = np.clip(np.nan_to_num(share), 0, 1)
        levels = np.floor((1 - share if self.inverted else share) * self.most + 0.5)
        return _unsigned(levels, self.most)

    def _measured(self, stored: npt.NDArray[Any]) -> Values:
        """Values after the modality stage."""
        if self.modality is not None:
            return self.modality.of(stored).astype(np.float64)
        return stored.astype(np.float64) * self.slope + self.intercept

    def _bounds(self, stored: npt.NDArray[Any]) -> tuple[float, float]:
        """Lowest and highest value of the output range where neither window nor VOI LUT says it."""
        if self.voi is not None:
            return 0.0, 0.0
        if 0 < self.bits <= 8 and self.modality is not None:
            return 0.0, float(2**self.modality.bits - 1)
        if 0 < self.bits <= 8:
            lowest = -(2 ** (self.bits - 1)) if self.signed else 0
            ends = self._measured(np.array([lowest, lowest + 2**self.bits - 1]))
            return float(ends.min()), float(ends.max())
        shown = stored[np.isfinite(stored)] if stored.dtype.kind == "f" else stored
        if self.padding is not None:
            measured = shown[(shown < self.padding[0]) | (shown > self.padding[1])]
            shown = measured if measured.size else shown
        if not shown.size:
            return 0.0, 0.0
        ends = self._measured(np.array([shown.min(), shown.max()]))
        return float(ends.min()), float(ends.max())


def grey_display(dataset: Dataset, frame: int, *, bits: int, little_endian: bool) -> GreyDisplay:
    """Read how a frame of the file is displayed. Attributes that make no sense are as if absent."""
    modality = _group(dataset, frame, "PixelValueTransformationSequence") or dataset
    voi = _group(dataset, frame, "FrameVOILUTSequence") or dataset
    slope, intercept = _number(modality, "RescaleSlope"), _number(modality, "RescaleIntercept")
    rescaled = slope is not None and intercept is not None and slope != 0
    return GreyDisplay(
        bits=bits,
        signed=_number(dataset, "PixelRepresentation") == 1,
        inverted=header_values(dataset, "PhotometricInterpretation")[:1] == ["MONOCHROME1"],
        slope=slope if rescaled and slope else 1.0,
        intercept=intercept if rescaled and intercept else 0.0,
        modality=_lookup(dataset, "ModalityLUTSequence", little_endian=little_endian),
        voi=_lookup(voi, "VOILUTSequence", little_endian=little_endian) or _window(voi),
        padding=_padding(dataset),
        rescaled=rescaled,
    )


def displayed_colour(stored: npt.NDArray[Any], bits: int) -> Pixels:
    """RGB samples of `bits` stored bits over the whole range of 8 (up to 8 bits) or 16."""
    if bits == 8:
        return stored.astype(np.uint8)
    if bits == 16:
        return stored.astype(np.uint16)
    most = 255 if bits < 8 else 65535
    scaled = np.floor(stored.astype(np.float64) * (most / (2**bits - 1)) + 0.5)
    return _unsigned(np.clip(scaled, 0, most), most)


def displayed_palette(stored: npt.NDArray[Any], dataset: Dataset, *, bits: int, little_endian: bool) -> Pixels:
    """RGB of palette pixels (PS3.3 C.7.6.3.1.5); the alpha channel of some is not used.

    Up to 8 stored bits become 8-bit colour, by the high byte of 16-bit entries, as everybody exports them.

    Raises:
        Exception: the palette is broken (whatever pydicom raises for a segmented one).
    """

    def colours_of(levels: npt.NDArray[Any]) -> Pixels:
        if "RedPaletteColorLookupTableData" in dataset:
            colours, depth = _palette_colours(levels, dataset, little_endian=little_endian)
        else:
            colours = apply_color_lut(levels, dataset)[..., :3]
            depth = 8 * colours.dtype.itemsize
        if depth > 8 and bits <= 8:
            colours, depth = colours >> (depth - 8), 8
        return displayed_colour(colours, depth)

    return _by_level(stored, colours_of)


def _palette_colours(
    stored: npt.NDArray[Any], dataset: Dataset, *, little_endian: bool
) -> tuple[npt.NDArray[Any], int]:
    """Red, green and blue of each pixel, and the bits of each."""
    tables = []
    for colour in ("Red", "Green", "Blue"):
        descriptor = header_values(dataset, f"{colour}PaletteColorLookupTableDescriptor")
        data = dataset.get(f"{colour}PaletteColorLookupTableData")
        table = _table(descriptor, data, little_endian=little_endian)
        if table is None:
            raise ValueError("a palette without usable tables")
        tables.append(table)
    return np.stack([table.of(stored) for table in tables], axis=-1), max(table.bits for table in tables)


def _by_level(stored: npt.NDArray[Any], shown: Callable[[npt.NDArray[Any]], Pixels]) -> Pixels:
    """Apply a function of single values: once for each value there can be, where those are fewer than the pixels."""
    low, high = stored.min(), stored.max()
    if stored.dtype.kind not in "iu" or int(high) - int(low) >= stored.size:
        return shown(stored)
    table = shown(np.arange(int(low), int(high) + 1, dtype=np.int64))
    pixels: Pixels = table[np.subtract(stored, low).view(f"u{stored.dtype.itemsize}")]
    return pixels


def _unsigned(levels: Values, most: int) -> Pixels:
    return levels.astype(np.uint8) if most == 255 else levels.astype(np.uint16)


def _group(dataset: Dataset, frame: int, keyword: str) -> Dataset | None:
    """The item of a functional group that holds for a frame: its own, else the one that all share."""
    own = header_values(dataset, "PerFrameFunctionalGroupsSequence")
    shared = header_values(dataset, "SharedFunctionalGroupsSequence")
    for item in [*own[frame : frame + 1], *shared[:1]]:
        found = header_values(item, keyword)
        if found:
            return found[0]  # type: ignore[no-any-return]
    return None


def _number(dataset: Dataset, keyword: str) -> float | None:
    """The first value, if it is a finite number."""
    values = header_values(dataset, keyword)
    try:
        number = float(values[0]) if values else math.nan
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _window(dataset: Dataset) -> Window | None:
    center, width = _number(dataset, "WindowCenter"), _number(dataset, "WindowWidth")
    function = str(next(iter(header_values(dataset, "VOILUTFunction")), "LINEAR")).upper()
    narrowest = 1.0 if function == "LINEAR" else math.nextafter(0, 1)
    if center is None or width is None or width < narrowest:
        return None
    return Window(center, width, function) if function in {"LINEAR", "LINEAR_EXACT", "SIGMOID"} else None


def _lookup(dataset: Dataset, keyword: str, *, little_endian: bool) -> Lookup | None:
    items = header_values(dataset, keyword)
    if not items:
        return None
    descriptor = header_values(items[0], "LUTDescriptor")
    data = items[0].get("LUTData")
    return _table(descriptor, data, little_endian=little_endian)


def _table(descriptor: list[Any], data: Any, *, little_endian: bool) -> Lookup | None:
    """A table from its descriptor (entries, first input, bits) and data, or None where they make no sense.

    0 entries are 65,536 (C.11.1.1); data come as numbers, or as bytes of 8- or 16-bit words.
    """
    if len(descriptor) != 3 or not data:
        return None
    count, first, bits = (int(value) for value in descriptor)
    count = count or 65536
    if isinstance(data, bytes):
        word = ("<u2" if little_endian else ">u2") if len(data) >= 2 * count else "u1"
        entries = np.frombuffer(data, word, min(count, len(data) // np.dtype(word).itemsize))
    else:
        entries = np.atleast_1d(np.asarray(data, np.int64))[:count]
    if not entries.size or not 1 <= bits <= 16:
        return None
    return Lookup(first, entries & (2**bits - 1), bits)


def _padding(dataset: Dataset) -> tuple[float, float] | None:
    """Pixel Padding Value and its Range Limit (PS3.3 C.7.5.1.1.2)."""
    value, limit = _number(dataset, "PixelPaddingValue"), _number(dataset, "PixelPaddingRangeLimit")
    if value is None:
        return None
    return min(value, limit if limit is not None else value), max(value, limit if limit is not None else value)
