import numpy as np
import pyarrow as pa
import pytest
from datasketch import MinHash
from hypothesis import given, settings
from hypothesis import strategies as st

from dedup.kernels.buffers import texts_of
from dedup.kernels.signatures import FACTORS, PERMUTATIONS, XORS, band_digests, signatures_of
from tests.dedup.kernels import naive

texts = st.text(st.sampled_from("abc é09 .-'%中 ") | st.characters(exclude_categories=["Cs"]), max_size=60)


@settings(max_examples=60, deadline=None)
@given(st.lists(texts, min_size=1, max_size=4), st.booleans())
def test_signatures_equal_those_of_plain_python_bit_for_bit(given_texts: list[str], letters: bool) -> None:
    signatures_NK, tokens_N = signatures_of(texts_of(pa.array(given_texts)), letters=letters)
    shingles_of = naive.letter_shingles if letters else naive.word_shingles
    for text, signature_K, tokens in zip(given_texts, signatures_NK.tolist(), tokens_N.tolist(), strict=True):
        assert signature_K == naive.signature(shingles_of(text), XORS.tolist(), FACTORS.tolist())
        assert tokens == len(naive.tokens_of(text))


def test_digests_equal_those_of_plain_python_bit_for_bit() -> None:
    signatures_NK = np.random.default_rng(0).integers(0, 2**32, (3, PERMUTATIONS), np.uint32)
    salt = np.array([0, 1, 2**64 - 1], np.uint64)
    digests_NB = band_digests(signatures_NK, 16, 8, first=16, salt=salt)
    for text in range(3):
        for band in range(16):
            values = signatures_NK[text, band * 8 : band * 8 + 8].tolist()
            assert digests_NB[text, band] == naive.digest(values, 16 + band, int(salt[text]))


def test_without_salt_digests_are_those_of_salt_zero_and_with_another_they_never_meet() -> None:
    signatures_NK = np.ones((2, PERMUTATIONS), np.uint32)
    plain_NB, salted_NB = (
        band_digests(signatures_NK, 16, 8, salt=salt) for salt in (None, np.array([0, 5], np.uint64))
    )
    assert (plain_NB[0] == salted_NB[0]).all()
    assert not set(plain_NB[0].tolist()) & set(salted_NB[1].tolist())
    assert len(set(plain_NB[0].tolist())) == 16, "equal values of two bands must not meet"


def test_the_permutations_are_the_published_ones() -> None:
    """Signatures are kept between runs: other constants are another version of the step."""
    assert (XORS[0], FACTORS[0]) == (XORS_0, FACTORS_0)
    assert all(factor % 2 for factor in FACTORS.tolist())


XORS_0, FACTORS_0 = 916573694, 935639247


def words(random: np.random.Generator, count: int) -> list[str]:
    return ["".join(random.choice(list("abcdefghijklmnopqrstuvwxyz"), 7)) for _ in range(count)]


@pytest.mark.parametrize("shared", [0.3, 0.6, 0.8, 0.95])
def test_the_estimate_is_as_good_as_that_of_datasketch(shared: float) -> None:
    """Bias within three standard errors of zero, and a spread not above datasketch's by more than chance."""
    random = np.random.default_rng(int(shared * 100))
    mine, theirs = [], []
    for _ in range(150):
        vocabulary = words(random, 260)
        kept = int(130 * shared)
        one = vocabulary[:130]
        two = vocabulary[:kept] + vocabulary[130 : 260 - kept]
        sets = [naive.word_shingles(" ".join(text)) for text in (one, two)]
        true = len(sets[0] & sets[1]) / len(sets[0] | sets[1])
        signatures_NK, _ = signatures_of(texts_of(pa.array([" ".join(one), " ".join(two)])))
        mine.append((signatures_NK[0] == signatures_NK[1]).mean() - true)
        sketches = [MinHash(num_perm=PERMUTATIONS, seed=len(mine)) for _ in sets]
        for sketch, shingles in zip(sketches, sets, strict=True):
            sketch.update_batch([shingle.to_bytes(8, "big") for shingle in shingles])
        theirs.append(sketches[0].jaccard(sketches[1]) - true)
    spread = np.std(mine)
    assert abs(np.mean(mine)) <= 3 * spread / np.sqrt(len(mine))
    assert spread <= np.std(theirs) * 1.25
