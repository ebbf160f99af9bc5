"""The library `datasets`, imported when it is first needed: silent, and reporting to nobody."""

import logging
from functools import lru_cache
from typing import Any

from sources.storage.hub import be_quiet


@lru_cache(maxsize=1)
def datasets_library() -> Any:
    """The module `datasets`, which has no types.

    The parts of it that would run code of a data set are never called.
    """
    be_quiet()
    import datasets

    datasets.disable_progress_bars()
    datasets.utils.logging.set_verbosity(logging.CRITICAL)  # its errors name files, and are raised as well
    return datasets
