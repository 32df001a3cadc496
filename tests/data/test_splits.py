from __future__ import annotations

import random
import re

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from relcon_lightning.data.splits import (
    Split,
    few_to_evaluate,
    k_fold,
    leave_one_out,
    ratio_split,
)
from relcon_lightning.errors import ConfigError, DataError

IDS = st.sets(st.text("abcdef0123456789", min_size=1, max_size=6), min_size=3, max_size=40)
RATIOS = st.tuples(st.integers(1, 20), st.integers(1, 20), st.integers(1, 20))


@given(IDS, RATIOS, st.integers(0, 99))
def test_ratio_split_divides_everybody_once(ids, ratios, seed):
    split = ratio_split(ids, ratios, seed)
    parts = split.train + split.validation + split.test
    assert sorted(parts) == sorted(ids)
    for count, ratio in zip(split.sizes().values(), ratios, strict=True):
        share = ratio / sum(ratios) * len(ids)
        assert count >= 1
        assert count == 1 or abs(count - share) <= 2


@given(st.integers(2, 14), st.lists(st.integers(0, 20), min_size=3, max_size=3).filter(lambda r: r[0] and r[2]))
@example(3, [1, 1, 20])  # two parts get more than their share, the third gives
def test_no_other_counts_are_nearer_to_the_ratio(people, ratios):
    share = np.array(ratios) / sum(ratios) * people
    every = (np.array([a, b, people - a - b]) for a in range(people + 1) for b in range(people + 1 - a))
    allowed = [counts for counts in every if ((counts > 0) == (share > 0)).all()]
    if not allowed:
        return
    found = np.array(list(ratio_split([f"p{i}" for i in range(people)], ratios).sizes().values()))
    assert ((found > 0) == (share > 0)).all()
    assert ((found - share) ** 2).sum() == pytest.approx(min(((counts - share) ** 2).sum() for counts in allowed))


@pytest.mark.parametrize("seed", range(5))
def test_two_groups_of_one_size_are_halves_of_every_part(seed):
    strata = {f"p{i:02d}": "fm"[i < 16] for i in range(32)}
    split = ratio_split(strata, (2, 1, 1), seed, strata)
    for part in (split.train, split.validation, split.test):
        assert [strata[name] for name in part].count("f") == len(part) / 2


@given(IDS, st.integers(0, 99), st.randoms())
def test_ratio_split_depends_on_ids_and_seed_alone(ids, seed, random):
    shuffled = list(ids)
    random.shuffle(shuffled)
    assert ratio_split(shuffled, seed=seed) == ratio_split(sorted(ids), seed=seed)


def test_the_papers_ratio():
    split = ratio_split([f"p{i}" for i in range(160)], (10, 3, 3))
    assert split.sizes() == {"train": 100, "validation": 30, "test": 30}
    assert split != ratio_split([f"p{i}" for i in range(160)], (10, 3, 3), seed=1)


@given(IDS.filter(lambda ids: len(ids) >= 5), st.integers(3, 5), st.integers(0, 9))
def test_k_fold_tests_everybody_once(ids, k, seed):
    folds = list(k_fold(ids, k, seed))
    assert sorted(p for fold in folds for p in fold.test) == sorted(ids)
    assert all(sorted(f.train + f.validation + f.test) == sorted(ids) for f in folds)


def test_leave_one_out_tests_one_at_a_time():
    folds = list(leave_one_out(["a", "b", "c", "d"]))
    assert sorted(f.test for f in folds) == [("a",), ("b",), ("c",), ("d",)]


def test_folds_of_the_ids_as_they_are_by_seed_and_strata():
    ids = ["a", "b\0", *(f"p{i:02d}" for i in range(18))]
    strata = {name: "fm"[i % 2] for i, name in enumerate(ids)}
    assert {type(name) for fold in k_fold(ids, 4) for name in fold.test} == {str}
    assert {name for fold in k_fold(ids, 4) for name in fold.test} == set(ids)
    assert list(k_fold(ids, 4)) == list(k_fold(ids, 4, 0)) != list(k_fold(ids, 4, 1))
    assert list(leave_one_out(ids)) == list(k_fold(ids, len(ids), 0))
    assert list(leave_one_out(ids, 3, strata)) == list(k_fold(ids, len(ids), 3, strata))
    assert list(leave_one_out(ids, 3)) == list(k_fold(ids, len(ids), 3)) != list(leave_one_out(ids, 3, strata))


def test_a_shared_participant_is_refused_and_named():
    with pytest.raises(DataError, match=r"\['anna'\] are in both train and test"):
        Split(("anna", "ben"), ("cleo",), ("anna",))


@pytest.mark.parametrize("parts", [((), ("a",), ("b",)), (("a",), ("b",), ())])
def test_empty_training_or_test_is_refused(parts):
    with pytest.raises(DataError, match="for training and for the test"):
        Split(*parts)


@pytest.mark.parametrize("ratios", [(1, 2), (1, -1, 1), (0, 0, 0)])
def test_bad_ratios_are_refused(ratios):
    with pytest.raises(ConfigError, match=r"data\.ratios"):
        ratio_split(["a", "b", "c"], ratios)


def test_too_few_participants_are_refused():
    with pytest.raises(DataError, match="2 participants cannot be divided into 3"):
        ratio_split(["a", "b"])
    with pytest.raises(ConfigError, match="k=2"):
        list(k_fold(["a", "b", "c"], 2))


def test_a_saved_split_is_loaded_again(tmp_path):
    split = ratio_split([f"p{i}" for i in range(9)])
    for _ in range(2):  # in the place of an older one too
        split.save(tmp_path / "new" / "er" / "split.json")
        assert Split.load(tmp_path / "new" / "er" / "split.json") == split


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.sampled_from("abc"), min_size=6, max_size=60),
    st.sampled_from([(10, 3, 3), (1, 0, 1), (4, 1, 5)]),
    st.integers(0, 99),
)
def test_with_strata_each_part_has_about_its_share_of_each_group(groups, ratios, seed):
    strata = {f"p{i:02d}": group for i, group in enumerate(groups)}
    split = ratio_split(list(strata), ratios, seed, strata)
    plain = ratio_split(list(strata), ratios, seed)
    assert split.sizes() == plain.sizes()
    for part in (split.train, split.validation, split.test):
        for group in set(groups):
            share = groups.count(group) * len(part) / len(groups)
            assert abs(sum(strata[name] == group for name in part) - share) < 3
    shuffled = random.Random(seed).sample(list(strata), len(strata))
    assert ratio_split(shuffled, ratios, seed, strata) == split


def test_stratified_folds_each_hold_both_groups():
    strata = {f"p{i:02d}": "f" if i < 5 else "m" for i in range(20)}
    folds = list(k_fold(list(strata), 5, 0, strata))
    for fold in folds:
        assert [strata[name] for name in fold.test].count("f") == 1
    assert sorted(name for fold in folds for name in fold.test) == sorted(strata)
    plain = [[strata[name] for name in fold.test].count("f") for fold in k_fold(list(strata), 5, 0)]
    assert plain != [1] * 5


def test_ten_to_three_to_three_is_the_default_in_large_too():
    assert ratio_split([f"p{i}" for i in range(1600)]).sizes() == {"train": 1000, "validation": 300, "test": 300}


def test_a_split_sorts_its_people_so_that_equal_ones_are_equal():
    assert Split(("b", "a"), ("d", "c"), ("f", "e")) == Split(("a", "b"), ("c", "d"), ("e", "f"))


@pytest.mark.parametrize("ids", [[], ["a"], ["a", "b"]])
def test_too_few_people_for_folds_are_counted(ids):
    with pytest.raises(ConfigError, match=f"^{len(ids)} participants: at least 3 are needed"):
        next(leave_one_out(ids))


def test_a_part_with_the_ratio_0_stays_empty_and_every_other_has_somebody():
    assert ratio_split([f"p{i}" for i in range(10)], (1, 0, 1)).sizes() == {"train": 5, "validation": 0, "test": 5}
    assert ratio_split(["a", "b"], (99, 0, 1)).sizes() == {"train": 1, "validation": 0, "test": 1}
    assert ratio_split(["a", "b", "c"]).sizes() == {"train": 1, "validation": 1, "test": 1}
    for few in ([], ["a", "b"]):
        with pytest.raises(DataError, match=f"{len(few)} participants? cannot be divided into 3 parts"):
            ratio_split(few)


@pytest.mark.parametrize("people", range(5, 15))
def test_the_ratios_that_are_proposed_leave_enough_people_to_evaluate_on(people):
    ids = [f"p{i}" for i in range(people)]
    told = few_to_evaluate(ratio_split(ids))
    ratios = [int(number) for number in re.search(r"data\.ratios=\[(.*)\] leaves", told).group(1).split(",")]
    split = ratio_split(ids, ratios)
    assert len(split.test) == 3
    assert split.validation
    assert not few_to_evaluate(split)
    assert len(list(k_fold(split.test, 5))) == 3


@pytest.mark.parametrize("people", [3, 4])
def test_so_few_people_are_for_an_encoder_that_was_trained_on_others(people):
    told = few_to_evaluate(ratio_split([f"p{i}" for i in range(people)]))
    assert f"Only 1 of {people} participants" in told
    assert "checkpoint=open-wrist-small" in told
    assert "data.ratios" not in told


def test_there_are_no_more_folds_than_people(caplog):
    with caplog.at_level("INFO"):
        assert [split.test for split in k_fold("abcd", 9)] == [split.test for split in k_fold("abcd", 4)]
    assert "Using 4 folds instead of k=9: one per participant." in caplog.messages


@pytest.mark.parametrize("k", [2, 2.5, 3.5, "abc", None])
def test_the_number_of_folds_is_whole(k):
    with pytest.raises(ConfigError, match=f"k={k} folds of 5 participants"):
        list(k_fold("abcde", k))
