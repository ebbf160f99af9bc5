import numpy as np
import orjson
import pyarrow as pa
import pytest

from filters.measure import LINKS
from filters.modality import CONFIDENCE, Labels, Modality, judged, said_of_images
from filters.modality_classes import KINDS
from filters.modality_head import SHIPPED, Head, load_head
from sources.schema import IMAGES

NOTHING: frozenset[str] = frozenset()


def test_a_header_is_not_outvoted_by_a_sure_model() -> None:
    found = judged("ct", "CT", "unknown", {"mri": 1.0}, frozenset({"mri"}))
    assert (found.modality, found.source) == ("ct", "dicom")


def test_a_card_stands_against_a_caption_and_against_a_model() -> None:
    assert judged("unknown", None, "mri", None, frozenset({"ct"})).modality == "mri"
    assert judged("unknown", None, "mri", {"ct": 0.9, "mri": 0.1}, NOTHING).modality == "mri"


def test_a_card_gives_way_to_a_model_and_a_caption_that_agree() -> None:
    found = judged("unknown", None, "mri", {"ct": 1.0}, frozenset({"ct"}))
    assert (found.modality, found.source) == ("ct", "model")


def test_without_evidence_or_with_little_the_modality_is_unknown() -> None:
    assert judged("unknown", None, "unknown", None, NOTHING).modality == "unknown"
    torn = judged("unknown", None, "unknown", {"ct": 0.4, "mri": 0.35, "xray": 0.25}, NOTHING)
    assert (torn.modality, torn.source) == ("unknown", "none")
    assert 0 < torn.score < CONFIDENCE


def test_a_caption_settles_what_a_model_leaves_open() -> None:
    found = judged("unknown", None, "unknown", {"ct": 0.4, "mri": 0.35, "xray": 0.25}, frozenset({"mri"}))
    assert found.modality == "mri"
    assert set(found.evidence) == {"model", "text"}


def test_a_text_that_names_two_modalities_decides_for_neither() -> None:
    assert judged("unknown", None, "unknown", None, frozenset({"ct", "xray"})).modality == "unknown"


def test_words_alone_make_no_picture_not_medical() -> None:
    said = frozenset({"diagram"})
    assert judged("unknown", None, "unknown", None, said).modality == "unknown"
    scan = {"mri": 0.6, "ct": 0.3, "xray": 0.08, "not_medical": 0.02}
    assert judged("unknown", None, "unknown", scan, said).modality == "mri"
    drawing = {"diagram": 0.4, "ct": 0.35, "mri": 0.25}
    assert judged("unknown", None, "unknown", drawing, said).modality == "not_medical"


@pytest.mark.parametrize(
    ("code", "said", "kind"),
    [("MG", NOTHING, "mammography"), ("XA", NOTHING, "angiography"), ("DX", NOTHING, None),
     ("DX", frozenset({"mammography"}), "mammography")],
)  # fmt: skip
def test_mammography_and_angiography_are_kinds_of_xray(code: str, said: frozenset[str], kind: str | None) -> None:
    found = judged("xray", code, "unknown", None, said)
    assert (found.modality, found.kind) == ("xray", kind)


@pytest.mark.parametrize(
    ("model", "modality", "kind"),
    [
        ({"mammography": 0.97, "xray": 0.02, "ct": 0.01}, "xray", "mammography"),
        ({"angiography": 0.4, "mammography": 0.2, "xray": 0.3, "ct": 0.1}, "xray", "angiography"),
        ({"angiography": 0.1, "mammography": 0.2, "xray": 0.6, "ct": 0.1}, "xray", None),
        ({"mammography": 0.45, "xray": 0.45, "ct": 0.1}, "xray", None),
        ({"mammography": 0.3, "ct": 0.35, "mri": 0.35}, "unknown", None),
        ({"chart": 0.3, "not_medical": 0.6, "ct": 0.1}, "not_medical", None),
    ],
)
def test_a_model_tells_the_kind_that_it_gives_more_than_the_plain_modality(
    model: dict[str, float], modality: str, kind: str | None
) -> None:
    found = judged("unknown", None, "unknown", model, NOTHING)
    assert (found.modality, found.kind) == (modality, kind)


def test_a_model_that_takes_a_film_for_something_else_does_not_tell_its_kind() -> None:
    found = judged("xray", "DX", "unknown", {"ct": 0.97, "mammography": 0.02, "xray": 0.01}, NOTHING)
    assert (found.modality, found.kind) == ("xray", None)
    assert judged("xray", "DX", "unknown", {"mammography": 0.9, "ct": 0.1}, NOTHING).kind == "mammography"


def test_header_and_words_go_before_what_a_model_takes_the_kind_for() -> None:
    model = {"angiography": 0.9, "xray": 0.1}
    assert judged("xray", "MG", "unknown", model, NOTHING).kind == "mammography"
    assert judged("unknown", None, "unknown", model, frozenset({"mammography"})).kind == "mammography"


def test_the_shipped_head_knows_no_plain_class_that_has_kinds() -> None:
    """So its answers, and the published figures, do not depend on how a kind is told."""
    labels = load_head(SHIPPED)[0].labels
    assert not {KINDS[label] for label in labels if label in KINDS} & set(labels)


def test_kinds_of_no_medical_picture_add_up() -> None:
    found = judged("unknown", None, "unknown", {"chart": 0.5, "text_page": 0.4, "ct": 0.1}, NOTHING)
    assert (found.modality, found.kind) == ("not_medical", "chart")


def images(*rows: dict[str, object]) -> pa.Table:
    base = {
        "pixel_hash": None, "width": 64, "height": 64, "bit_depth": 8, "channels": 1, "format": "png", "frames": 1,
        "bytes": 1, "modality": "unknown", "modality_from": "none", "flags": [], "panels": 1, "modality_score": 0.9,
    }  # fmt: skip
    return pa.Table.from_pylist([{**base, **row} for row in rows], schema=IMAGES)


def test_labels_fill_their_columns_and_no_others() -> None:
    head = Head("n", ("ct", "mri"), np.zeros(2, "f4"), np.eye(2, dtype="f4"), np.zeros(2, "f4"), 0.1, {})
    given = images(
        {"image_id": "a", "embedding": np.array([1, 0], "<f2").tobytes()},
        {"image_id": "b", "modality": "mri", "modality_from": "card"},
        {"image_id": "c"},
        {"image_id": "d", "modality_scores": orjson.dumps({"fundus": 0.99, "oct": 0.01}).decode()},
    )
    found = Labels(head, "digest").labelled(given, {"c": frozenset({"oct"})})
    assert found["modality"].to_pylist() == ["ct", "mri", "oct", "fundus"]
    assert found["modality_from"].to_pylist() == ["model", "card", "text", "model"]
    assert found.schema == IMAGES
    changed = {name for name in IMAGES.names if not found[name].equals(given[name])}
    assert changed == {"modality", "modality_from", "modality_score", "modality_evidence"}


def links(*samples: list[str]) -> pa.Table:
    rows = [{"images": [{"image_id": one, "uri": "u", "frame": 0} for one in ids]} for ids in samples]
    return pa.Table.from_pylist(rows, schema=LINKS)


def verdicts(step: Modality, table: pa.Table, *samples: list[str]) -> list[str | None]:
    tasks = pa.table({"task": ["vqa"] * len(samples)})
    found: list[str | None] = step.decide(tasks, {"images": table, "links": links(*samples)})["reason"].to_pylist()
    return found


PICTURES = images(
    {"image_id": "ct", "modality": "ct"}, {"image_id": "chart", "modality": "not_medical", "modality_kind": "chart"},
    {"image_id": "what"}, {"image_id": "figure", "modality": "mri", "panels": 4},
    {"image_id": "mg", "modality": "xray", "modality_kind": "mammography"},
)  # fmt: skip


def test_by_default_only_what_is_no_medical_picture_goes() -> None:
    step = Modality(None, "drop", "keep", "keep", {})
    samples = (["ct"], ["chart"], ["what"], ["figure"], [], ["ct", "chart"])
    assert verdicts(step, PICTURES, *samples) == [
        None, "modality.not_medical", None, None, None, "modality.not_medical",
    ]  # fmt: skip


def test_a_kind_that_only_a_model_names_is_kept_by_a_list_of_kinds() -> None:
    scores = [{"mammography": 0.97, "xray": 0.03}, {"mammography": 0.03, "xray": 0.97}]
    rows = [{"image_id": str(n), "modality_scores": orjson.dumps(one).decode()} for n, one in enumerate(scores)]
    labelled = Labels().labelled(images(*rows), {})
    step = Modality(["mammography"], "drop", "drop", "keep", {})
    assert verdicts(step, labelled, ["0"], ["1"]) == [None, "modality.unwanted"]


def test_a_list_keeps_modalities_and_kinds() -> None:
    step = Modality(["ct", "mammography"], "drop", "drop", "drop", {})
    assert verdicts(step, PICTURES, ["ct"], ["mg"], ["chart"], ["what"], ["figure"]) == [
        None, None, "modality.not_medical", "modality.unwanted", "modality.compound",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("origin", "reason"),
    [("dicom", None), ("card", None), ("model", "modality.compound"), ("text", "modality.compound")],
)
def test_two_knees_of_a_film_are_no_figure(origin: str, reason: str | None) -> None:
    table = images({"image_id": "knees", "modality": "xray", "modality_from": origin, "panels": 2})
    assert verdicts(Modality(None, "drop", "keep", "drop", {}), table, ["knees"]) == [reason]


def test_what_is_not_medical_is_kept_beside_a_list_where_the_recipe_says_so() -> None:
    step = Modality(["ct"], "keep", "keep", "keep", {})
    assert verdicts(step, PICTURES, ["ct"], ["chart"], ["mg"]) == [None, None, "modality.unwanted"]


def test_the_evidence_names_the_picture_and_what_told() -> None:
    step = Modality(["ct"], "drop", "keep", "keep", {})
    answer = step.decide(pa.table({"task": ["vqa"]}), {"images": PICTURES, "links": links(["ct", "figure"])})
    assert orjson.loads(answer["evidence"][0].as_py()) == {"image": 1, "modality": "mri", "from": "none"}


def test_a_text_about_several_pictures_speaks_of_none_of_them() -> None:
    ct = frozenset({"ct"})
    assert said_of_images(links(["a"], ["a", "b"], ["b"]), [ct, ct, NOTHING]) == {"a": [ct]}
