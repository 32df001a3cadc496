"""Who answers, and who is waited for."""

from __future__ import annotations

import pytest

from relcon_lightning.training.answers import Answers


def heard(*ticks):
    """Answers at the seconds 0, 1, 2 ..., as rank to count."""
    answers = Answers()
    for tick in ticks:
        answers.wait(1.0)
        for rank, count in tick.items():
            answers.hear(rank, count)
    return answers


def test_a_process_that_does_not_run_is_silent():
    answers = heard({0: 1, 1: 1}, {0: 1}, {0: 1})
    assert answers.silent(2) == [1]
    assert answers.silent(3) == []


def test_a_rank_that_was_never_heard_is_not_judged():
    answers = heard({0: 1}, {0: 2})
    answers.wait(100.0)
    assert answers.silent(10) == [0]
    assert answers.behind(10) == []


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        ({0: 5, 1: 5}, []),  # all wait at one place: no rank is the cause
        ({0: 5, 1: 4}, [1]),
        ({0: 5, 1: 6}, [0]),
        ({0: 5, 1: 4, 2: 4}, [1, 2]),
    ],
)
def test_those_who_wait_are_not_behind(last, expected):
    answers = heard(last, last)
    assert answers.behind(2) == []  # not long enough
    answers.wait(9.0)
    assert answers.behind(10) == expected


def test_a_rank_that_moves_keeps_the_others_from_being_behind():
    answers = heard({0: 5, 1: 4}, *[{0: 5 + second, 1: 4} for second in range(1, 20)])
    assert answers.behind(10) == []
