from itertools import pairwise

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from filters.modality_classes import LABELS
from pipelines.label_words import ANSWER, WORDS, _bits, _differing, said_in

SAID = st.lists(st.frozensets(st.sampled_from(LABELS[:4])), max_size=4)


def row(fragment: int, texts: list[frozenset[str]]) -> dict[str, object]:
    shared, any_ = (1 << len(LABELS)) - 1, 0
    for one in filter(None, texts):
        shared, any_ = shared & _bits(one), any_ | _bits(one)
    return {"key": b"k" * 16, "row": 0, "shared": shared, "any": any_, "fragment": fragment}


@given(st.lists(SAID, min_size=1, max_size=4))
def test_fragments_hear_what_one_fragment_with_all_texts_would(fragments: list[list[frozenset[str]]]) -> None:
    saying = [one for texts in fragments for one in texts if one]
    expected = (frozenset.intersection(*saying) or frozenset.union(*saying)) if saying else frozenset()
    schema = WORDS.append(pa.field("fragment", pa.int32()))
    sent = pa.Table.from_pylist([row(number, texts) for number, texts in enumerate(fragments)], schema=schema)
    answer, _ = _differing(sent)
    assert answer.schema == ANSWER
    told = set()
    for number in range(len(fragments)):
        own = answer.filter(pa.compute.equal(answer["fragment"], number)).drop_columns(["fragment"])
        told.add(said_in(sent.slice(number, 1), own, ["picture"]).get("picture", frozenset()))
    assert told == {expected}
    assert all(one < two for one, two in pairwise(answer["fragment"].to_pylist()))
