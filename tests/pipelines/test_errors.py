"""What a user reads of an error."""

import pytest

from pipelines.errors import presentable


def test_a_module_of_others_that_is_not_there_is_no_defect_of_ours() -> None:
    with pytest.raises(ModuleNotFoundError) as caught:
        import not_installed_anywhere.inside  # type: ignore[import-not-found]  # noqa: F401
    shown = presentable(caught.value, "added 3")
    assert shown.message.startswith("added 3: the module not_installed_anywhere is not installed on ")
    assert "on every node" in shown.hint


def test_a_module_of_ours_that_is_not_there_is_a_defect() -> None:
    with pytest.raises(ModuleNotFoundError) as caught:
        import pipelines.nothing_of_this_name  # noqa: F401
    assert "defect" in presentable(caught.value, "tokens 1").hint
