"""How an extra's packages are installed, as messages say it where one of them is missing."""


def install_extra(extra: str) -> str:
    """The command. By pip it brings a second OpenCV (`[tool.uv]` in pyproject.toml); on PyPI `curate` is another's."""
    return f"in the checkout: uv pip install -e '.[{extra}]'"
