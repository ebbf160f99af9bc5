"""How many partitions an exchange has."""

from pipelines.partitions import partitions_for


def test_partitions_grow_with_the_keys_and_are_powers_of_two() -> None:
    assert [partitions_for(keys, 500) for keys in (0, 1, 500, 501, 2500)] == [1, 1, 1, 2, 8]
