"""What the ledger says of a sample, put together of what several stages found."""

import orjson

from pipelines.near.decide import _joined, _more


def test_what_is_said_of_a_sample_and_of_its_pictures_is_one_object() -> None:
    told = {1: '{"kept":"ab","jaccard":0.9}', 2: '{"kept":"cd"}'}
    joined = _joined(told, {1: '{"pictures":[{"image":"x"}]}', 3: '{"pictures":[]}'})
    assert {row: orjson.loads(text) for row, text in joined.items()} == {
        1: {"kept": "ab", "jaccard": 0.9, "pictures": [{"image": "x"}]},
        2: {"kept": "cd"},
        3: {"pictures": []},
    }


def test_an_object_goes_on_with_the_members_of_another_if_there_are_any() -> None:
    assert [f'{{"kept":"ab"{_more(also)}' for also in (None, "{}", '{"edits":1}')] == [
        '{"kept":"ab"}', '{"kept":"ab"}', '{"kept":"ab","edits":1}',
    ]  # fmt: skip
