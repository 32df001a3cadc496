"""Values of a configuration are compared with the types of the arguments that receive them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
from omegaconf import OmegaConf

from relcon_lightning.cli.values import accepts, check_finite, check_types
from relcon_lightning.errors import ConfigError

from .test_conf import EVAL_GROUPS, GROUPS, PARTS, composed

CHECKPOINT = "checkpoint=open-wrist-small"


@pytest.mark.parametrize(
    ("hint", "value", "accepted"),
    [
        (int, 3, True), (int, 3.0, False), (int, True, False), (int, "3", False), (int, None, False),
        (float, 3, True), (float, 0.5, True), (float, True, False), (float, "abc", False),
        (bool, True, True), (bool, 1, False), (bool, "maybe", False),
        (str, "a", True), (str, 2024, True), (str, True, False), (str | Path, "a", True), (Path, None, False),
        (int | None, None, True), (int | None, "null", False),
        (Literal["once", "never"], "once", True), (Literal["once", "never"], "twice", False),
        (Sequence[int], [1, 2], True), (Sequence[int], [1, 2.5], False), (Sequence[int], 3, False),
        (Sequence[str], "ab", True), (Sequence[int], "ab", False), (Sequence[int] | None, None, True),
        (tuple[float, float, float], [4, 1, 5], True), (tuple[float, float], [4, 1, 5], False),
        (tuple[int, ...], [1, 2, 3, 4], True), (list[int], [1, None], False),
        (float | dict, "abc", False), (float | dict, 3, True), (dict, 3, False), (object, "abc", True),
        (Any, object(), True), (Callable[[int], int], "abc", True), (Callable[[int], int] | None, 3, True),
    ],
)  # fmt: skip
def test_a_value_is_accepted_if_its_argument_can_take_it(hint, value, accepted):
    assert accepts(hint, value) is accepted


def test_every_choice_has_values_of_the_right_types():
    for group, names in GROUPS.items():
        for name in set(names) - PARTS:
            config = composed(f"{group}={name}")
            check_finite(config)
            check_types(config)
    for group, names in EVAL_GROUPS.items():
        for name in set(names) - PARTS:
            config = composed("data=watch", f"{group}={name}", CHECKPOINT, name="eval")
            check_finite(config)
            check_types(config, ("data.datamodule",))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.batch_size=2.5", "data.batch_size=2.5: expected a whole number"),
        ("data.batch_size=null", "data.batch_size=null: expected a whole number"),
        ("data.num_workers=abc", "data.num_workers=abc: expected a whole number"),
        ("data.participants_per_batch=true", "data.participants_per_batch=true: expected a whole number or null"),
        ("data.ratios=3", "data.ratios=3: expected a list of 3 values"),
        ("data.ratios=[4,2]", "data.ratios=[4, 2]: expected a list of 3 values"),
        ("data.verify=maybe", "data.verify=maybe: expected once or always or never"),
        ("temperature=abc", "temperature=abc: expected a number"),
        ("model.learning_rate=abc", "model.learning_rate=abc: expected a number"),
        ("model.within_user=maybe", "model.within_user=maybe: expected true or false"),
        ("model.pairs=1.5", "model.pairs=1.5: expected a whole number or null"),
        ("model.projection=8", "model.projection=8: expected a list or null"),
        ("encoder.recompute=maybe", "encoder.recompute=maybe: expected true or false"),
        ("encoder.width=wide", "encoder.width=wide: expected a whole number"),
        ("view.warp_per_axis=maybe", "view.warp_per_axis=maybe: expected true or false"),
        ("callbacks.online_probe.windows=abc", "callbacks.online_probe.windows=abc: expected a whole number"),
        ("trainer.max_epochs=1.5", "trainer.max_epochs=1.5: expected a whole number or null"),
        ("trainer.log_every_n_steps=abc", "trainer.log_every_n_steps=abc: expected a whole number or null"),
    ],
)
def test_a_value_of_another_type_is_refused_by_the_key_that_was_set(override, message):
    with pytest.raises(ConfigError) as refused:
        check_types(composed(override))
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("given", "refused"),
    [
        ({"a": {"b": float("nan")}}, "a.b=nan"),
        ({"a": float("-inf")}, "a=-inf"),
        ({"a": [1.0, float("nan")]}, r"a\[1\]=nan"),
        ({"a": [1.0, float("inf")], "b": "nan", "c": "${a}"}, None),  # no regularisation is one of the alternatives
    ],
)
def test_numbers_are_finite(given, refused):
    if refused is None:
        check_finite(OmegaConf.create(given))
        return
    with pytest.raises(ConfigError, match=refused):
        check_finite(OmegaConf.create(given))


def test_what_cannot_be_imported_is_left_to_whoever_creates_it():
    check_types(OmegaConf.create({"a": {"_target_": "no.such.Thing", "x": "abc"}}))
