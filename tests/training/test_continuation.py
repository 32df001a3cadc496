"""What may change while a run goes on, and what makes it another run."""

from __future__ import annotations

import copy

import pytest

from relcon_lightning.errors import ConfigError
from relcon_lightning.methods.base import DRAWS
from relcon_lightning.runs.checkpoint import Checkpoint
from relcon_lightning.training.continuation import refuse_another_run, tell_other_draws

CONFIG = {
    "seed": 0,
    "name": "a",
    "temperature": 0.1,
    "gather": False,
    "compile": True,
    "paths": {"runs": "runs"},
    "data": {
        "batch_size": 32,
        "split_seed": 0,
        "window_s": 2.56,
        "n_candidates": 0,
        "root": "data",
        "num_workers": 0,
        "verify": "once",
    },
    "model": {
        "name": "relcon",
        "learning_rate": 1e-3,
        "distance_checkpoint": "runs/d",
        "method": {"distance": {"checkpoint": "runs/d", "fused": True}, "scheduler": {"T_max": 6}},
    },
    "trainer": {"max_steps": 6, "accelerator": "cpu", "precision": "32-true", "accumulate_grad_batches": 1},
    "encoder": {"_target_": "small", "recompute": False},
}


def check(changes=(), given=(), old=(), data="f", ranks=1):
    new, before = copy.deepcopy(CONFIG), copy.deepcopy(CONFIG)
    for config, values in ((new, dict(changes)), (before, dict(old))):
        for key, value in values.items():
            place = config
            *parents, name = key.split(".")
            for parent in parents:
                place = place.setdefault(parent, {})
            place[name] = value
    entry = {"config": before, "training": {"data": "f", "ranks": 1}}
    refuse_another_run(Checkpoint("last.ckpt", entry, {}), new, given, data, ranks)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"name": "b", "run_dir": "elsewhere", "resume": "auto"},
        {"trainer.max_steps": 12, "model.method.scheduler.T_max": 12},
        {"trainer.accelerator": "gpu", "compile": False, "model.method.distance.fused": False},
        {"data.num_workers": 4, "data.verify": "always", "data.root": "/big", "paths.runs": "/big"},
        {"logger.csv": None, "callbacks.retrieval.windows": 9, "trainer.log_every_n_steps": 1},
        {"model.distance_checkpoint": "moved", "model.method.distance.checkpoint": "moved"},
        {"encoder.recompute": True},
    ],
)
def test_how_long_and_where_it_runs_may_change(changes):
    check(changes)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("seed", 1),
        ("temperature", 0.2),
        ("gather", True),
        ("data.batch_size", 64),
        ("data.split_seed", 1),
        ("data.window_s", 5.12),
        ("data.n_candidates", 20),
        ("model.learning_rate", 3e-4),
        ("model.name", "simclr"),
        ("trainer.precision", "bf16-mixed"),
        ("trainer.accumulate_grad_batches", 4),
        ("encoder._target_", "resnet34"),
    ],
)
def test_what_is_trained_may_not(key, value):
    with pytest.raises(
        ConfigError, match=rf"(?s)^last\.ckpt belongs to another run:\n  {key}: .* -> {value}\n.*without resume"
    ):
        check({key: value})


def test_every_difference_is_named():
    with pytest.raises(ConfigError) as error:
        check({"seed": 1, "temperature": 1.0}, data="other", ranks=8)
    for part in ("seed: 0 -> 1", "temperature: 0.1 -> 1.0", "the cohort store is not the one", "processes: 1 -> 8"):
        assert part in str(error.value)


def test_an_option_that_came_with_a_later_version_counts_only_if_it_is_given():
    check({"model.views": 1})
    with pytest.raises(ConfigError, match=r"model\.views: None -> 2"):
        check({"model.views": 2}, given={"model.views"})


def test_a_checkpoint_of_an_earlier_version_says_nothing_of_data_and_ranks():
    refuse_another_run(Checkpoint("last.ckpt", {"config": CONFIG}, {}), CONFIG, (), "any", 4)


def test_a_checkpoint_that_names_the_loader_of_a_distance_by_its_former_module_is_of_the_same_run():
    ranking = {"ranking": {"_target_": "relcon_lightning.load_distance"}}
    check(changes=ranking, old={"ranking": {"_target_": "relcon_lightning.checkpoint.load_distance"}})


@pytest.mark.parametrize(("stored", "told"), [({}, True), ({"draws": DRAWS - 1}, True), ({"draws": DRAWS}, False)])
def test_a_run_of_other_random_numbers_is_told_so(caplog, stored, told):
    tell_other_draws(Checkpoint("last.ckpt", {"training": {"data": "f", "ranks": 1, **stored}}, {}))
    assert ("last.ckpt was written by a version that seeded each step in another way" in caplog.text) == told
