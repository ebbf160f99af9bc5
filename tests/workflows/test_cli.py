"""What the command says of words that it does not have."""

import pytest

from workflows.cli import run


@pytest.mark.parametrize(("given", "help_of"), [
    (("biuld",), "curate"), (("label", "check"), "curate label"), (("build", "--dat", "x"), "curate build"),
    (("why",), "curate why"),
])  # fmt: skip
def test_wrong_usage_points_at_the_help_of_the_command_that_was_meant(
    given: tuple[str, ...], help_of: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(given) == 2
    assert f"see `{help_of} --help`" in capsys.readouterr().err
