import os
from functools import partial
from operator import call

import pytest

from shards.processes import run_in_processes

DIES = partial(os._exit, 9)


@pytest.mark.parametrize("workers", [1, 2])
def test_every_job_answers_under_its_number(workers: int) -> None:
    assert dict(run_in_processes(abs, [-3, -4, -5, 6], workers)) == {0: 3, 1: 4, 2: 5, 3: 6}


def test_a_job_that_kills_its_process_costs_the_others_nothing() -> None:
    jobs = [partial(abs, -1), partial(abs, -2), DIES, partial(abs, -4), partial(abs, -5)]
    assert dict(run_in_processes(call, jobs, 2)) == {0: 1, 1: 2, 2: None, 3: 4, 4: 5}


def test_an_exception_of_the_function_is_not_swallowed() -> None:
    with pytest.raises(TypeError):
        list(run_in_processes(abs, [1, "no number", 3], 2))
