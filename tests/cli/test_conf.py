"""The configuration that ships: every choice composes, and the paper's run is the paper's."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import get_class, get_method, instantiate
from lightning import Trainer
from omegaconf import DictConfig, OmegaConf

from relcon_lightning.augment import Noise, Scale, TimeWarp
from relcon_lightning.cli.app import config_folder
from relcon_lightning.cli.presets import with_preset
from relcon_lightning.data import CandidateDataModule
from relcon_lightning.methods import DistanceLearning
from relcon_lightning.nets import MotifDistance
from relcon_lightning.training.unread import unread

CONF = Path(config_folder())
GROUPS = {
    group: sorted(p.stem for p in (CONF / group).glob("*.yaml"))
    for group in (
        "augmentation",
        "data",
        "encoder",
        "logger",
        "loss",
        "model",
        "pair",
        "preset",
        "ranking",
        "sampling",
        "trainer",
    )
}
EVAL_GROUPS = {
    group: sorted(p.stem for p in (CONF / group).glob("*.yaml") if p.stem != "base")
    for group in ("probe", "baseline", "task")
}
PARTS = {"base"}  # parts of other choices, not choices


def composed(*overrides: str, name: str = "pretrain") -> DictConfig:
    here = [] if name == "prepare" else ["run_dir=here"]  # Hydra knows it when a command runs
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose(name, [*here, *overrides])


def targets(config: object) -> list[str]:
    if isinstance(config, dict):
        own = [v for k, v in config.items() if k == "_target_"]
        return own + [t for v in config.values() for t in targets(v)]
    return [t for v in config for t in targets(v)] if isinstance(config, list) else []


@pytest.mark.parametrize(
    "override", [f"{group}={name}" for group, names in GROUPS.items() for name in names if name not in PARTS]
)
def test_every_choice_composes_and_names_things_that_exist(override):
    config = composed(override)
    plain = OmegaConf.to_container(config, resolve=False)
    named = targets(plain)
    assert named
    for target in named:
        assert callable(get_method(target))


@pytest.mark.parametrize("override", [f"{group}={name}" for group, names in EVAL_GROUPS.items() for name in names])
def test_every_choice_of_an_evaluation_composes(override):
    override = override.replace("baseline=", "baseline=[") + "]" * override.startswith("baseline")
    config = composed(override, "checkpoint=x", name="eval")
    for target in targets(OmegaConf.to_container(config, resolve=True)):
        assert callable(get_method(target))
    assert "title" in config.task
    assert config.probe.title
    for net in config.get("baseline", {}).values():
        assert instantiate(net)(torch.zeros(2, 3, 64)).shape[0] == 2


def test_the_preset_of_the_paper_is_its_run():
    config = composed("preset=paper", "model=relcon", "model.distance_checkpoint=d.ckpt")
    assert config.trainer.devices == 8
    assert config.trainer.strategy._target_ == "lightning.pytorch.strategies.DDPStrategy"
    assert config.trainer.accelerator == "gpu"
    assert config.trainer.precision == "bf16-mixed"
    assert config.trainer.max_steps == 100_000
    assert config.trainer.use_distributed_sampler is False
    assert config.data.datamodule.batch_size == 64
    assert config.data.datamodule.n_candidates == 20
    assert config.data.datamodule.participants_per_batch is None
    assert config.data.datamodule.window_s * config.data.datamodule.sampling_rate == 256
    assert config.model.method.temperature == 1
    assert config.model.method.encoder._target_ == "relcon_lightning.nets.resnet34_1d"
    windows = 8 * config.data.batch_size * (1 + config.data.n_candidates) * config.trainer.max_steps
    assert windows == 1_075_200_000


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["trainer=gpu"], ["trainer=gpu", "preset=gpu"]),
        (["trainer=ddp_8xa100", "model=simclr"], ["trainer=ddp_8xa100", "model=simclr", "preset=paper"]),
        (["trainer=gpu", "preset=laptop"], ["trainer=gpu", "preset=laptop"]),
        (["preset=paper", "trainer=cpu"], ["preset=paper", "trainer=cpu"]),
        (["trainer=cpu"], ["trainer=cpu", "preset=laptop"]),
        (["trainer=ddp_cpu"], ["trainer=ddp_cpu"]),
        (["model=relcon"], ["model=relcon"]),
    ],
)
def test_a_trainer_without_a_preset_implies_the_one_that_selects_it(words, expected):
    assert with_preset(config_folder(), words) == expected


@pytest.mark.parametrize(("preset", "trainer"), [("paper", "ddp_8xa100"), ("gpu", "gpu"), ("laptop", "cpu")])
def test_a_preset_selects_a_trainer_that_an_argument_replaces(preset, trainer):
    by_preset, by_trainer = (
        composed(*words, "model.distance_checkpoint=d.ckpt")
        for words in ([f"preset={preset}"], with_preset(config_folder(), [f"trainer={trainer}"]))
    )
    assert by_preset == by_trainer
    moved = composed(f"preset={preset}", "trainer=ddp_cpu", "model.distance_checkpoint=d.ckpt")
    assert (moved.trainer.accelerator, moved.trainer.devices) == ("cpu", 2)
    assert (moved.encoder, moved.temperature, moved.data) == (by_preset.encoder, by_preset.temperature, by_preset.data)


@pytest.mark.parametrize("trainer", sorted(set(GROUPS["trainer"]) - PARTS))
def test_a_trainer_holds_keys_of_the_trainer_alone(trainer):
    content = OmegaConf.to_container(OmegaConf.load(CONF / "trainer" / f"{trainer}.yaml"))
    assert set(content) - {"defaults"} <= set(inspect.signature(Trainer).parameters)


def test_the_cpu_run_differs_in_the_values_it_lists_and_in_nothing_else():
    def flat(config, prefix=""):
        for key, value in config.items():
            if isinstance(value, dict):
                yield from flat(value, f"{prefix}{key}.")
            else:
                yield f"{prefix}{key}", value

    def values(trainer):
        config = composed(f"preset={trainer}", "model.distance_checkpoint=d.ckpt")
        return dict(flat(OmegaConf.to_container(config, resolve=True)))

    cpu, gpu = values("laptop"), values("gpu")
    differing = {key for key in cpu if cpu[key] != gpu.get(key)} | (gpu.keys() - cpu.keys())
    files = [
        OmegaConf.to_container(OmegaConf.load(CONF / f"{f}.yaml"))
        for f in ("preset/laptop", "trainer/cpu", "sampling/grouped")
    ]
    names = {
        key.split(".")[-1] for file in files for key, _ in flat({k: v for k, v in file.items() if k != "defaults"})
    }
    unexpected = {
        key
        for key in differing
        if key.split(".")[-1] not in names | {"precision", "every_n_train_steps", "view", "scheduler"}
        and "encoder" not in key
    }
    assert unexpected == set()


def test_the_methods_are_built_with_the_papers_defaults(toy_store):
    config = composed("preset=gpu", "model=distance", f"data.root={toy_store.path.parent}", "data.name=toy")
    method, data = instantiate(config.model.method), instantiate(config.data.datamodule)
    assert isinstance(method, DistanceLearning)
    assert isinstance(data, CandidateDataModule)
    default = MotifDistance()
    assert {k: v.shape for k, v in method.distance.state_dict().items()} == {
        k: v.shape for k, v in default.state_dict().items()
    }
    assert method.distance.dropout == default.dropout == 0.1
    assert data.window == 256
    [group] = method.configure_optimizers().param_groups
    assert group["lr"] == 1e-3


def test_simclr_has_the_papers_recipe_and_another_one_by_name():
    for preset in ("laptop", "gpu"):
        method = composed("model=simclr", f"preset={preset}").model.method
        assert method.views._target_.endswith(".OneTransformation")
        assert method.views.warp_per_axis
        assert (method.optimizer._target_, method.optimizer.momentum) == ("torch.optim.SGD", 0.9)
        assert method.scheduler._target_.endswith(".CosineAnnealingLR")
    random = composed("model=simclr", "pair=random", "augmentation.n=3").model.method
    assert random.views.augmentation.n == 3
    assert random.optimizer._target_ == "torch.optim.Adam"
    for config in (composed("model=simclr"), composed("model=simclr", "pair=random")):
        optimizer = instantiate(config.model.method.optimizer)([torch.nn.Parameter(torch.zeros(1))])
        assert optimizer.param_groups[0]["lr"] == config.model.learning_rate
        assert callable(instantiate(config.model.method.views))


@pytest.mark.parametrize("model", ["distance", "relcon", "byol", "simsiam"])
def test_the_augmentation_that_is_given_reaches_the_method(model):
    config = composed(f"model={model}", "augmentation.n=3", "augmentation.warp_per_axis=false")
    assert OmegaConf.to_container(config.model.method, resolve=True)["augmentation"] == {
        "_target_": "relcon_lightning.augment.RandomAugmentations",
        "n": 3,
        "warp_per_axis": False,
    }
    assert unread(config, ["augmentation.n", "augmentation"]) == []


@pytest.mark.parametrize(
    ("model", "key", "ignored"),
    [
        ("simclr", "augmentation.n", True),
        ("simclr", "augmentation", True),
        ("simclr", "loss", True),
        ("simclr", "view", True),
        ("simclr", "augmentation@view", True),
        ("relcon", "augmentation@view", False),
        ("simclr", "pair", False),
        ("simclr", "pair.views.warp_per_axis", False),
        ("mae", "augmentation.n", True),
        ("augpred", "augmentation.n", True),
        ("relcon", "pair", True),
        ("relcon", "loss", False),
        ("relcon", "view.n", False),
        ("rebar", "loss", True),
        ("rebar", "ranking", False),
        ("byol", "ranking.level", True),
        ("byol", "temperature", False),  # what several methods share may be given to all of them
        ("cpc", "encoder", False),
        ("distance", "loss", False),  # it often gets the arguments of the run that follows
    ],
)
def test_a_setting_that_the_method_does_not_read_is_named(model, key, ignored):
    found = unread(composed(f"model={model}"), [key, "seed", "trainer.max_steps"])
    assert found == [line for line in found if line.startswith(f"{key} has no effect with model={model}")]
    assert len(found) == ignored


def test_augmentations_of_simclr_are_read_with_random_pairs():
    assert unread(composed("model=simclr", "pair=random"), ["augmentation.n", "pair"]) == []
    [line] = unread(composed("model=simclr"), ["augmentation.n"])
    assert line.endswith("leave it out or add pair=random, which reads it.")


@pytest.mark.parametrize("entry", ["prepare", "eval"])
def test_the_other_commands_compose(entry):
    overrides = ["checkpoint=x"] if entry == "eval" else []
    config = composed(*overrides, name=entry)
    OmegaConf.to_container(config, resolve=True, throw_on_missing=True)


@pytest.mark.parametrize(
    "name", [name for name in GROUPS["data"] if "archive:" in (CONF / "data" / f"{name}.yaml").read_text()]
)
def test_the_licence_that_is_shown_before_a_download_is_the_one_that_the_store_keeps(name):
    config = composed(f"data={name}", name="prepare").data
    source = Path(inspect.getfile(get_class(config.source._target_))).read_text()
    assert f'license="{config.archive.license}' in source
    assert config.archive.url.startswith("https://")


def test_every_data_set_has_a_task_of_its_name():
    """A sweep over tasks is composed without the swept ones first."""
    assert set(GROUPS["data"]) - PARTS <= set(EVAL_GROUPS["task"])


def test_the_paper_draws_candidates_for_each_anchor_and_a_small_machine_shares_them():
    paper = composed("preset=paper").data
    assert (paper.n_candidates, paper.participants_per_batch, paper.batch_size) == (20, None, 64)
    small = composed().data
    assert (small.n_candidates, small.participants_per_batch) == (0, 4)
    assert composed("sampling=drawn").data.n_candidates == 20


def test_a_cluster_gets_a_process_for_each_device_of_a_job():
    with initialize_config_dir(str(CONF), version_base="1.3"):
        overrides = ["run_dir=here", "+cluster=slurm", "trainer=ddp_8xa100", "trainer.num_nodes=2"]
        config = compose("pretrain", overrides, return_hydra_config=True)
    launcher = config.hydra.launcher
    assert launcher._target_.endswith("SlurmLauncher")
    assert (launcher.nodes, launcher.tasks_per_node, launcher.gpus_per_node) == (2, 8, 8)
    assert config.resume == "auto"  # as submitit queues a job again after its time


@pytest.mark.parametrize(("steps", "interval"), [(80, 8), (200, 20), (9, 1), (20_000, 2000), (-1, 1000)])
def test_a_small_machine_validates_ten_times_a_run(steps, interval):
    config = composed("trainer=cpu", "model=simclr", f"trainer.max_steps={steps}")
    assert config.trainer.val_check_interval == config.callbacks.checkpoint.every_n_train_steps == interval


@pytest.mark.parametrize("name", EVAL_GROUPS["task"])
def test_the_stride_follows_the_window_of_the_task(name):
    """Else a window that is changed leaves gaps between windows, or lets them overlap."""
    task = composed(f"task={name}", "task.window_s=1.5", "data.window_s=7", "checkpoint=x", name="eval").task
    assert (task.window_s, task.stride_s) == (1.5, 1.5)


@pytest.mark.parametrize("name", ["hhar", "motionsense", "pamap2_ankle"])
def test_the_windows_of_table_4_last_for_two_seconds(name):
    assert composed(f"task={name}", "data.window_s=2.56", "checkpoint=x", name="eval").task.window_s == 2


def test_what_make_pretrain_adds_for_four_people_is_understood():
    makefile = (CONF.parent / "Makefile").read_text()
    [added] = re.findall(r"^FOR_watch_relcon := (.*)$", makefile, re.M)
    config = composed("model=relcon", "model.distance_checkpoint=d.ckpt", *added.split())
    assert config.trainer.max_steps == 40
    view = instantiate(config.view)
    assert {type(one) for one in view.augmentations} == {Noise, Scale, TimeWarp}
    assert view.n == 2


@pytest.mark.parametrize("model", ["relcon", "rebar"])
def test_views_and_neighbours_are_settings_of_both_methods_that_rank_candidates(model):
    method = composed(f"model={model}", "model.views=2", "model.neighbours=true").model.method
    assert (method.views, method.neighbours) == (2, True)
