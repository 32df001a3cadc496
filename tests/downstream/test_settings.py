"""Settings of an evaluation that make no sense are refused before anything is computed."""

from __future__ import annotations

import math

import pytest
from omegaconf import OmegaConf
from torch import nn

from relcon_lightning.cli.app import config_folder
from relcon_lightning.cli.choices import check_flags
from relcon_lightning.data.splits import checked_seeds
from relcon_lightning.downstream import LinearProbe, MlpProbe, RidgeRegressionProbe
from relcon_lightning.downstream.end_to_end import EndToEndProbe
from relcon_lightning.downstream.evaluate import by_seed
from relcon_lightning.errors import ConfigError


@pytest.mark.parametrize("seeds", [[], [0, 0], [-1], [1.5], 3, "abc", None, [True], ["0"], [2**32], {"0": 1}])
def test_seeds_are_different_whole_numbers(seeds):
    for value in (seeds, OmegaConf.create({"seeds": seeds}).seeds):
        with pytest.raises(ConfigError, match="expected different whole numbers"):
            checked_seeds(value)


@pytest.mark.parametrize("seeds", [[0], [2, 0, 1], (0, 1), range(3), [2**32 - 1]])
def test_good_seeds_keep_their_order(seeds):
    assert checked_seeds(seeds) == list(seeds)
    assert list(by_seed([], seeds)) == list(seeds)


def test_a_seed_that_occurs_twice_is_refused_in_python_too():
    with pytest.raises(ConfigError, match=r"seeds=\[0, 0\]"):
        by_seed([], [0, 0])


@pytest.mark.parametrize("values", [[], [0], [1, -1], [math.nan]])
@pytest.mark.parametrize(
    ("probe", "name"),
    [(LinearProbe, "inverse_strengths"), (MlpProbe, "inverse_decays"), (RidgeRegressionProbe, "strengths")],
)
def test_probes_try_numbers_above_zero(probe, name, values):
    with pytest.raises(ConfigError, match=f"{name}=.*above 0"):
        probe(**{name: values})


@pytest.mark.parametrize(("probe", "name"), [(LinearProbe, "max_iter"), (MlpProbe, "max_iter"), (MlpProbe, "hidden")])
def test_probes_have_one_iteration_and_unit_or_more(probe, name):
    with pytest.raises(ConfigError, match="above 0"):
        probe(**{name: 0})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, value) for name in ("batch_size", "max_epochs", "patience") for value in (0, -3, math.nan)),
        *(("learning_rate", value) for value in (0, -1, math.nan, math.inf)),
        *(("weight_decay", value) for value in (-1, math.nan, math.inf)),
    ],
)
def test_networks_are_trained_with_sensible_numbers(name, value):
    with pytest.raises(ConfigError, match=name):
        EndToEndProbe(lambda seed: nn.Identity(), **{name: value})


@pytest.mark.parametrize("entry", ["eval", "embed", "export", "prepare", "pretrain", "table"])
@pytest.mark.parametrize("value", ["maybe", 2, 1.0, None])
def test_what_is_true_or_false_is_not_something_else(entry, value):
    defaults = OmegaConf.load(f"{config_folder()}/{entry}.yaml")
    check_flags(config_folder(), entry, defaults)
    defaults.overwrite = value if entry != "table" else False
    if entry == "table":
        defaults.dry_run = value
    with pytest.raises(ConfigError, match=f"={value}: expected true or false"):
        check_flags(config_folder(), entry, defaults)
