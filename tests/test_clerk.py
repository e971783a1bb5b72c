"""The thread that keeps a run's records."""

from __future__ import annotations

import pytest

from mlops_jupyter.pipelines.clerk import Clerk


def raising(error):
    def work():
        raise error

    return work


def test_in_order_and_before_wait_returns():
    clerk, done = Clerk(), []
    for number in range(100):
        clerk.do(lambda number=number: done.append(number))
    clerk.wait()
    assert done == list(range(100))
    clerk.do(lambda: done.append("last"))
    clerk.close()
    assert done[-1] == "last"


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3), KeyboardInterrupt()])
def test_what_raises_is_told_and_nothing_is_done_after_it(error):
    clerk, done = Clerk(), []
    clerk.do(raising(error))
    with pytest.raises(type(error)):
        clerk.wait()
    clerk.do(lambda: done.append(1))
    clerk.wait()
    clerk.close()
    assert done == []
