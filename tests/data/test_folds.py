from __future__ import annotations

import pytest

from relcon_lightning.data.folds import benchmark_folds, named_folds
from relcon_lightning.errors import ConfigError, DataError

# Test and validation people of MotionSense's 24, from running the steps of the benchmark's public code on 1.0 to 24.0.
PUBLIC = [
    ([1, 9, 12, 17, 19], [3, 10, 14, 18]),
    ([2, 3, 7, 11, 15], [1, 4, 9, 17]),
    ([6, 14, 16, 18, 24], [1, 2, 7, 13]),
    ([4, 5, 13, 20, 23], [1, 2, 8, 15]),
    ([8, 10, 21, 22], [1, 2, 18, 20]),
]


def people(n: int) -> list[str]:
    return [f"motionsense-{i:02d}" for i in range(1, n + 1)]


def test_folds_of_motionsense_are_those_of_the_public_code():
    folds = list(benchmark_folds(reversed(people(24))))
    numbers = [([int(p[-2:]) for p in one.test], [int(p[-2:]) for p in one.validation]) for one in folds]
    assert numbers == PUBLIC
    assert all(sorted([*one.train, *one.validation, *one.test]) == people(24) for one in folds)


@pytest.mark.parametrize("n", [5, 9, 10, 24])
def test_each_person_is_tested_once(n):
    folds = list(benchmark_folds(people(n)))
    assert len(folds) == 5
    assert sorted(name for one in folds for name in one.test) == people(n)
    assert all(one.train and one.validation for one in folds)


@pytest.mark.parametrize(("n", "k"), [(8, 5), (2, 3), (9, 2), (9, 0)])
def test_folds_that_cannot_be_made_are_refused(n, k):
    with pytest.raises(ConfigError, match=f"cannot be divided into k={k} folds"):
        list(benchmark_folds(people(n), k))


def test_named_folds_test_whom_they_name_and_train_on_the_others():
    first, second = named_folds("abcdef", [["a", "b"], ["c"]])
    assert (first.test, first.validation, first.train) == (("a", "b"), ("c",), ("d", "e", "f"))
    assert (second.test, second.validation, second.train) == (("c",), ("a", "b"), ("d", "e", "f"))
    [only] = named_folds("abcd", [["a"]], validation=[["d"]], seed=3)
    assert (only.test, only.validation, only.train) == (("a",), ("d",), ("b", "c"))


@pytest.mark.parametrize(
    ("folds", "error", "message"),
    [
        ({"test": [["a"], ["x"]]}, DataError, "names x, who has no windows"),
        ({"test": [["a"]]}, ConfigError, "name its validation participants"),
        ({"test": [["a"], ["b"]], "validation": [["c"]]}, ConfigError, "2 test and 1 validation sets"),
        ({"test": [["a"], ["b"]], "validation": [["a"], ["c"]]}, DataError, "in both validation and test"),
    ],
)
def test_impossible_names_are_refused(folds, error, message):
    with pytest.raises(error, match=message):
        list(named_folds("abc", **folds))


def test_a_fold_is_a_list_of_names():
    with pytest.raises(ConfigError, match="ab is not a list of names"):
        list(named_folds("abcd", ["ab", "cd"]))


@pytest.mark.parametrize("k", [2, 2.5, 3.5, "abc", None])
def test_the_number_of_benchmark_folds_is_whole(k):
    with pytest.raises(ConfigError, match=f"k={k} folds"):
        list(benchmark_folds("abcdefghij", k))
