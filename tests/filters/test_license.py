import pyarrow as pa
import pytest

from filters.license import License
from sources.schema import SAMPLES


def decide(step: License, access: str, license_id: str) -> tuple[str, str | None]:
    row = dict.fromkeys(SAMPLES.names, "x") | {"access": access, "license": license_id}
    row |= {"turns": [], "images": [], "groups": [], "options": []}
    verdict = step.decide(pa.Table.from_pylist([row], schema=SAMPLES), {}).to_pylist()[0]
    assert verdict["evidence"] == f'{{"access":"{access}","license":"{license_id}"}}'
    return verdict["verdict"], verdict["reason"]


@pytest.mark.parametrize(
    ("access", "license_id", "expected"),
    [
        ("open", "CC-BY-4.0", ("keep", None)),
        ("gated", "CC-BY-4.0", ("drop", "access.forbidden")),
        ("open", "CC-BY-ND-4.0", ("drop", "license.forbidden")),
        ("open", "unknown", ("keep", None)),
    ],
)
def test_access_and_forbidden_licences_decide(access: str, license_id: str, expected: tuple[str, str | None]) -> None:
    step = License(frozenset({"open", "noncommercial"}), frozenset({"CC-BY-ND-4.0"}))
    assert decide(step, access, license_id) == expected


def test_the_strict_policy_drops_what_nobody_licensed() -> None:
    step = License(frozenset({"open"}), unknown="drop")
    assert decide(step, "open", "unknown") == ("drop", "license.forbidden")
