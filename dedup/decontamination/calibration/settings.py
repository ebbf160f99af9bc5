"""How much an audit plants to calibrate itself."""

from typing import Annotated

from pydantic import Field

from sources.cards import Strict


class CalibrationSettings(Strict):
    """Probes of an audit; all are chosen and altered by `seed`, which the audit publishes."""

    enabled: bool = True
    pictures: Annotated[int, Field(ge=1)] = 32
    """Pictures of the eval sets that are planted in every transform."""
    texts: Annotated[int, Field(ge=1)] = 200
    """Texts that are planted in every transform."""
    seed: Annotated[int, Field(ge=0)] = 0
