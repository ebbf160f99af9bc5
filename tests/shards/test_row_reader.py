import logging
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from filters.tokens import HARMONY
from shards.harmony import render
from shards.loader_order import LoaderError
from shards.loader_samples import BadSample, RawSample
from shards.plan_file import Place, PlanRow
from shards.row_reader import IGNORED, PackedRow, RowMaker, RowSettings
from shards.samples import ShardSample, json_bytes
from tests.shards.conftest import key_of, sample_of
from tests.shards.planned import about_of

TOKENS = 4  # of a picture


def ids_of(sample: ShardSample) -> tuple[list[int], list[bool]]:
    made = render(sample.json["turns"], [TOKENS] * len(sample.members))
    return made.ids.tolist(), made.loss.tolist()


def raw(sample: ShardSample, start: int = 0, tokens: int | None = None, json: bytes | None = None) -> RawSample:
    place = Place(0, 512, 4096, len(ids_of(sample)[0]) if tokens is None else tokens, start)
    pictures = tuple((suffix, memoryview(data)) for suffix, data in sample.members)
    return RawSample("a.tar", sample.key, place, memoryview(json or json_bytes(sample.json)), pictures)


def changed(sample: ShardSample, **changes: Any) -> RawSample:
    return raw(sample, json=orjson.dumps({**sample.json, **changes}))


def made(
    *rows: list[RawSample | BadSample], about: dict[str, Any] | None = None, **settings: Any
) -> tuple[list[PackedRow], list[BadSample]]:
    maker = RowMaker(about_of(len(rows), 1, **about or {}), HARMONY, RowSettings(**settings))
    planned = [PlanRow(tuple(Place(0, 0, 512, 1) for _ in row), 0, 1, 1.0) for row in rows]
    return maker.rows(planned, [sample for row in rows for sample in row])


def test_documents_lie_side_by_side_each_with_its_own_positions() -> None:
    samples = [sample_of(1, "png", "jpg"), sample_of(2), sample_of(3, "jpg")]
    ((row,), bad) = made([raw(sample) for sample in samples])
    ids = [ids_of(sample)[0] for sample in samples]
    assert not bad
    assert row.ids.tolist() == ids[0] + ids[1] + ids[2]
    assert row.position_ids.tolist() == [n for document in ids for n in range(len(document))]
    assert row.documents.tolist() == [n for n, document in enumerate(ids) for _ in document]
    assert row.keys == (key_of(1), key_of(2), key_of(3))
    assert {array.dtype for array in (row.ids, row.labels, row.position_ids)} == {np.dtype(np.int64)}


def test_labels_are_the_ids_that_the_loss_counts_and_never_the_first_of_a_document() -> None:
    text = sample_of(5)
    text.json["turns"] = [{"role": "text", "text": "Small effusion."}]
    samples = [sample_of(1, "png"), text]
    ((row,), _) = made([raw(sample) for sample in samples])
    both = [pair for sample in samples for pair in zip(*ids_of(sample), strict=True)]
    assert row.labels.tolist() == [token if counts else IGNORED for token, counts in both]
    firsts = row.position_ids == 0
    assert firsts.sum() == 2
    assert set(row.labels[firsts].tolist()) == {IGNORED}
    assert (row.labels[row.documents == 1][1:] != IGNORED).all()


def test_pictures_stand_where_their_tokens_are() -> None:
    ((row,), _) = made([raw(sample_of(1)), raw(sample_of(2, "png", "jpg")), raw(sample_of(3, "png"))])
    assert [picture.shape for picture in row.pictures] == [(9, 12, 3)] * 3
    assert len(row.picture_spans) == 3
    images = np.flatnonzero(row.ids == 200013).tolist()
    assert images == [place for start, stop in row.picture_spans for place in range(start, stop)]
    assert (row.labels[images] == IGNORED).all()


def test_pictures_may_stay_encoded_or_go_through_the_callers_function() -> None:
    sample = sample_of(1, "png", "jpg")
    ((row,), _) = made([raw(sample)], decode="bytes")
    assert [picture.tobytes() for picture in row.pictures] == [data for _, data in sample.members]
    ((row,), _) = made([raw(sample)], picture=lambda pixels: pixels[::2].sum())
    ((full,), _) = made([raw(sample)])
    assert list(row.pictures) == [picture[::2].sum() for picture in full.pictures]


def test_a_cut_text_gives_its_part_whose_first_token_has_no_loss() -> None:
    text = sample_of(5)
    text.json["turns"] = [{"role": "text", "text": "Small effusion at the left base. " * 5}]
    ids, _ = ids_of(text)
    cut = -(-len(ids) // 2)
    short = sample_of(1, text="No.")
    about = {"cut": True, "context": cut}
    ((one, two), _) = made([raw(text, 0, cut)], [raw(short), raw(text, cut, len(ids) - cut)], about=about)
    assert one.ids.tolist() == ids[:cut]
    second = two.documents == 1
    assert two.ids[second].tolist() == ids[cut:]
    assert two.position_ids[second].tolist() == list(range(len(ids) - cut))
    assert two.labels[second].tolist() == [IGNORED, *ids[cut + 1 :]]
    for start, tokens in ((0, cut - 1), (cut - 1, cut), (1, cut), (cut, len(ids) - cut - 1), (0, len(ids))):
        (_, bad) = made([raw(text, start, tokens)], about=about)
        assert "tokens, the plan says" in bad[0].reason


def test_a_sample_that_became_longer_is_told_though_texts_may_be_cut() -> None:
    picture = sample_of(1, "png", text="Small effusion at the left base. " * 5)
    for sample, context in ((sample_of(2), 4096), (picture, 40)):
        whole = len(ids_of(sample)[0])
        ((row,), _) = made([raw(sample)], about={"cut": True, "context": context})
        assert len(row.ids) == whole
        (_, bad) = made([raw(sample, 0, whole - 10)], about={"cut": True, "context": context})
        assert "tokens, the plan says" in bad[0].reason


def test_a_bad_sample_is_left_out_reported_and_its_row_stays(caplog: pytest.LogCaptureFixture) -> None:
    bad = BadSample("a.tar", key_of(9), 512, "damaged")
    with caplog.at_level(logging.WARNING, "curate.loader"):
        (rows, found) = made([raw(sample_of(1)), bad, raw(sample_of(2))], [bad])
    assert rows[0].keys == (key_of(1), key_of(2))
    assert rows[0].documents.max() == 1
    assert (rows[1].ids.tolist(), rows[1].labels.tolist(), rows[1].keys) == ([199999], [IGNORED], ())
    assert found == [bad, bad]
    assert caplog.messages == [f"a.tar: sample {key_of(9)} at byte 512: damaged; left out"] * 2


def test_a_bad_sample_may_end_the_run() -> None:
    with pytest.raises(LoaderError, match=rf"a\.tar: sample {key_of(9)} at byte 512: damaged; leave such"):
        made([BadSample("a.tar", key_of(9), 512, "damaged")], replace="fail")


def test_bad_samples_are_left_out_until_too_many_follow_one_another() -> None:
    bad = BadSample("a.tar", None, 512, "damaged")
    good = raw(sample_of(1))
    rows, found = made([bad, bad, good], [bad, bad], [good, bad, bad], max_bad=2)
    assert (len(rows), len(found)) == (3, 6)
    with pytest.raises(LoaderError, match="3 bad samples in a row, at most 2 are left out"):
        made([bad, bad], [bad, good], max_bad=2)


SECRET = "Jane Roe, born 1961"
WIDE = {"member": "png", "image_id": "i", "width": 99, "height": 9, "modality": "xray"}
DAMAGES = {
    "no json": (raw(sample_of(1, "png"), json=b'{"turns": "' + SECRET.encode()), "not JSON"),
    "a role nobody knows": (changed(sample_of(1), turns=[{"role": SECRET, "text": "?"}]), "cannot be rendered"),
    "another type": (changed(sample_of(1), tokens=SECRET), "json.tokens: not what a sample has"),
    "another id": (changed(sample_of(1), sample_id=SECRET), "another than the key"),
    "a picture too few": (changed(sample_of(1, "png"), images=[]), "not those that its JSON lists"),
    "another size": (changed(sample_of(1, "png"), images=[WIDE]), "png: 12 x 9 pixels, its JSON says 99 x 9"),
    "a placeholder too many": (
        changed(sample_of(1), turns=[{"role": "user", "text": f"<image>{SECRET}"}]),
        "cannot be rendered",
    ),
    "another text": (changed(sample_of(1), turns=[{"role": "text", "text": SECRET}]), "tokens, the plan says"),
    "a picture that does not decode": (
        raw(sample_of(1, "png"))._replace(pictures=(("png", memoryview(b"\x89PNG" + SECRET.encode())),)),
        "png: ",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_wrong_with_a_sample_is_told_without_its_content(damage: str) -> None:
    sample, said = DAMAGES[damage]
    (_, (bad,)) = made([sample, raw(sample_of(2))])
    assert said in bad.reason
    assert (bad.shard, bad.key, bad.offset) == ("a.tar", key_of(1), 512)
    assert not any(word in str(bad) for word in SECRET.split())


def test_a_defect_of_the_callers_function_is_not_a_bad_sample() -> None:
    def defective(pixels: Any) -> None:
        raise KeyError("a programming error")

    with pytest.raises(KeyError):
        made([raw(sample_of(1, "png"))], picture=defective)


def test_tokens_are_counted_by_the_plans_image_policy(tmp_path: Path) -> None:
    sample = sample_of(1, "png")
    more = about_of(1, 1).images.model_copy(update={"tokens_per_tile": TOKENS + 1})
    (_, bad) = made([raw(sample)], about={"images": more})
    assert "the plan was made with another tokenizer" in bad[0].reason
