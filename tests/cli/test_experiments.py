"""Every experiment composes into a run that could be started."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from relcon_lightning.cli.app import config_folder

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
FILES = sorted(path.relative_to(EXPERIMENTS) for path in EXPERIMENTS.rglob("*.yaml"))
PARTS = {"methods/trained.yaml", "methods/equal.yaml"}  # of others


def entry(file: Path) -> str:
    """The command that a file is for: those that name checkpoints or participants of a task evaluate."""
    text = (EXPERIMENTS / file).read_text()
    return "eval" if "relcon-eval" in text or "+methods_wrist=judge" in text else "pretrain"


@pytest.mark.parametrize("file", [f for f in FILES if f.as_posix() not in PARTS], ids=str)
def test_every_experiment_composes(file):
    choice = f"+{file.parent.as_posix()}={file.stem}"
    with initialize_config_dir(config_folder(), version_base="1.3"):
        config = compose(
            entry(file),
            ["run_dir=here", f"hydra.searchpath=[file://{EXPERIMENTS}]", choice],
            return_hydra_config=True,
        )
        sweep = config.hydra.sweep.dir
        OmegaConf.set_struct(config, False)
        config.pop("hydra")
    plain = OmegaConf.to_container(config, resolve=True)
    if entry(file) == "eval":
        assert plain["checkpoint"]
        assert plain["task"]["folds"]
        assert plain["probe"]["title"]
    else:
        assert plain["model"]["method"]["_target_"].startswith("relcon_lightning.methods.")
        assert "runs/" in sweep


def composed(*overrides: str) -> dict:
    with initialize_config_dir(config_folder(), version_base="1.3"):
        config = compose("pretrain", ["run_dir=here", f"hydra.searchpath=[file://{EXPERIMENTS}]", *overrides])
    return cast(dict, OmegaConf.to_container(config, resolve=True))


COMPARED: dict[str, list[tuple[str, ...]]] = {
    "methods": [("+methods=pretrain", f"model={model}") for model in ("relcon", "rebar", "simclr", "augpred")],
    "table6": [("+table6=losses", "loss=relative"), ("+table6=losses", "loss=log_ratio"), ("+table6=rebar",)],
    "methods_watch": [("+methods_watch=pretrain", f"model={model}") for model in ("relcon", "rebar", "simclr")],
    "methods_wrist": [("+methods_wrist=pretrain", f"model={model}") for model in ("relcon", "rebar", "simclr")],
}


@pytest.mark.parametrize("preset", ["laptop", "gpu"])
@pytest.mark.parametrize("comparison", COMPARED)
def test_methods_that_are_compared_get_equal_steps_rate_views_and_encoder(comparison, preset):
    def shared(config: dict[str, Any]) -> tuple[Any, ...]:
        method = config["model"]["method"]
        return (
            config["trainer"]["max_steps"],
            method["optimizer"]["lr"],
            method.get("view"),
            method["encoder"],
            config["data"]["batch_size"],
            config["temperature"],
        )

    found = [shared(composed(*overrides, f"preset={preset}")) for overrides in COMPARED[comparison]]
    assert all(one == found[0] for one in found)


@pytest.mark.parametrize("method", ["simclr", "rebar", "augpred"])
def test_a_method_can_have_the_budget_of_the_shipped_encoder(method):
    shipped, other = composed("+open_wrist=open_wrist_small"), composed(f"+open_wrist=[{method},long]")
    for key in ("encoder", "seed", "trainer", "temperature"):
        assert other[key] == shipped[key]
    assert other["model"]["learning_rate"] == shipped["model"]["learning_rate"]
    assert other["data"]["batch_size"] == shipped["data"]["batch_size"]
    assert other["name"] == f"{method}_long"  # not the folder of the shorter run


CUT = [f for f in FILES if f.parent.name in ("table3", "table4", "table7") and f.stem != "resnet18"]


@pytest.mark.parametrize("file", CUT, ids=str)
def test_windows_and_statistics_of_tables_3_4_and_7_are_those_of_their_sources(file):
    overrides = ["run_dir=here", f"hydra.searchpath=[file://{EXPERIMENTS}]", f"+{file.parent.as_posix()}={file.stem}"]
    with initialize_config_dir(config_folder(), version_base="1.3"):
        config = compose("eval", overrides)
    seconds, clip, scaled = (2, None, True) if file.parent.name == "table4" else (10, 3, False)
    assert config.windows._target_ == "relcon_lightning.downstream.grid_windows"
    assert (config.task.window_s, config.task.stride_s, config.task.overlap) == (seconds, seconds, 0.5)
    assert (config.windows.clip_g, config.standardise, config.bootstrap) == (clip, scaled, False)


def test_the_papers_harder_loss_is_rebars():
    assert composed("+table6=rebar")["model"]["method"]["_target_"].endswith(".Rebar")


@pytest.mark.parametrize("name", [f"table{i}" for i in range(1, 8)] + [f"figure{i}" for i in range(2, 6)])
def test_every_table_and_figure_has_a_page_with_its_command(name):
    page = (EXPERIMENTS / name / "README.md").read_text()
    assert "```bash" in page
    assert "relcon-" in page
    assert f"]({name}/README.md)" in (EXPERIMENTS / "README.md").read_text()
