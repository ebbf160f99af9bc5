import hashlib
import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from filters import watermark
from filters.images import fault_of
from filters.modality_head import npz_bytes
from filters.quality_rules import RULE_SETS
from filters.watermark import LAYERS, SHIPPED, Watermark, onnx_model
from sources.shipped import PackageError
from tests.end_to_end.phi_corpora import Planted, noise_ground

LIMITS = RULE_SETS["default"]


def scan(side: int = 420) -> Image.Image:
    return Image.fromarray(noise_ground(1001, {}, Planted())).resize((side, side), Image.Resampling.BICUBIC)


def share_of(picture: Image.Image) -> float | None:
    value = Watermark().measure(np.asarray(picture), picture)["watermarked"]
    assert value is None or isinstance(value, float)
    return value


def reason(picture: Image.Image) -> str | None:
    drawn = {"levels": 200, "marks": 9, "ruled": 0.0, "watermarked": share_of(picture)}
    fault = fault_of({"width": picture.width, "height": picture.height, "entropy": 6.0, **drawn}, LIMITS)
    return None if fault is None else str(fault.reason)


def as_jpeg(picture: Image.Image) -> Image.Image:
    kept = io.BytesIO()
    picture.save(kept, "JPEG", quality=80)
    return Image.open(io.BytesIO(kept.getvalue())).convert("L")


def rows(word: str, size: int, side: int, angle: int) -> Image.Image:
    """A mask of side x side: the word in rows, turned."""
    sheet = Image.new("L", (2 * side, 2 * side))
    draw, face = ImageDraw.Draw(sheet), ImageFont.load_default(size)
    for y in range(0, 2 * side, 3 * size):
        for x in range(0, 2 * side, int(draw.textlength(word, face)) + 2 * size):
            draw.text((x, y), word, font=face, fill=255)
    return sheet.rotate(angle, Image.Resampling.BICUBIC).crop(
        (side // 2, side // 2, side // 2 + side, side // 2 + side)
    )


def blended(picture: Image.Image, cover: Image.Image, opacity: float) -> Image.Image:
    return Image.composite(Image.new("L", picture.size, 255), picture, cover.point(lambda level: int(level * opacity)))


@pytest.mark.parametrize(("angle", "opacity"), [(0, 0.5), (30, 0.4), (-45, 0.3)])
def test_half_transparent_words_over_all_of_a_picture_are_a_watermark(angle: int, opacity: float) -> None:
    marked = blended(scan(), rows("PREVIEW", 30, 420, angle), opacity)
    assert reason(marked) == reason(as_jpeg(marked)) == "quality.watermark"


def test_one_half_transparent_word_across_the_middle_is_a_watermark() -> None:
    cover = Image.new("L", (420, 420))
    ImageDraw.Draw(cover).text((210, 210), "SAMPLE", font=ImageFont.load_default(90), fill=255, anchor="mm")
    assert reason(blended(scan(), cover.rotate(30, Image.Resampling.BICUBIC), 0.45)) == "quality.watermark"


def test_a_plain_scan_opaque_annotations_and_a_mark_in_the_corner_are_none() -> None:
    annotated, cornered = scan(), Image.new("L", (420, 420))
    draw = ImageDraw.Draw(annotated)
    for line, words in enumerate(("AXIAL T2", "kV 120", "R")):
        draw.text((8, 8 + 20 * line), words, font=ImageFont.load_default(16), fill=255)
    ImageDraw.Draw(cornered).text((340, 398), "example", font=ImageFont.load_default(16), fill=255)
    for picture in (scan(), annotated, blended(scan(), cornered, 0.5)):
        assert reason(picture) is reason(as_jpeg(picture)) is None


def test_a_picture_too_small_for_a_mark_has_no_value_and_no_fault() -> None:
    assert share_of(scan(40)) is None
    assert share_of(Image.new("L", (4000, 200), 90)) is None
    assert reason(scan(40)) is None


def test_the_share_that_a_table_keeps_is_held_against_the_limit_as_it_was_measured() -> None:
    limit = LIMITS["max_watermarked"]
    for value, reason_told in ((limit, None), (limit + 0.0001, "quality.watermark")):
        kept = {"width": 420, "height": 420, "entropy": 6.0, "levels": 200, "marks": 9, "ruled": 0.0}
        fault = fault_of({**kept, "watermarked": float(np.float32(value))}, LIMITS)
        assert (fault and (str(fault.reason), fault.value)) == (reason_told and (reason_told, round(value, 4)))


def test_threads_do_not_get_each_other_s_scores() -> None:
    pictures = [scan(), blended(scan(), rows("PREVIEW", 30, 420, 0), 0.5)]
    alone = [share_of(one) for one in pictures]
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(share_of, pictures * 8)) == alone * 8


def test_other_weights_are_another_version() -> None:
    shipped = hashlib.sha256(SHIPPED.read_bytes()).hexdigest()
    assert (Watermark.version, shipped[:16]) == (1, "b0a6201d9c421b28")


def test_weights_of_another_shape_are_refused() -> None:
    weights = {f"weight{number}": np.zeros((1, 1, 1, 1), np.float32) for number in range(len(LAYERS))}
    biases = {f"bias{number}": np.zeros(1, np.float32) for number in range(len(LAYERS))}
    with pytest.raises(ValueError, match="layer 0"):
        onnx_model(weights | biases)


@pytest.mark.parametrize("kept", [0, 1000, -1], ids=["empty", "truncated", "other"])
def test_a_damaged_network_ends_the_run_and_is_laid_on_no_picture(
    kept: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = SHIPPED.read_bytes()[:kept] if kept >= 0 else npz_bytes({"weight0": np.zeros((1, 1, 3, 3), np.float32)})
    monkeypatch.setattr(watermark, "SHIPPED", tmp_path / "watermark.npz")
    watermark.SHIPPED.write_bytes(data)
    watermark._network.cache_clear()
    try:
        with pytest.raises(PackageError, match=r"watermark\.npz of this package cannot be used"):
            share_of(scan())
    finally:
        watermark._network.cache_clear()
