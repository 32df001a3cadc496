"""The experiments that need no files run from end to end, two steps each, on simulated people."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.commands import SIMULATED, TINY, fork

SMALL = ["data=simulated", "encoder=small", "seed=0", "data.val_batches=1", *TINY]
EXPERIMENTS = Path(__file__).parents[2] / "experiments"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where a small cohort is prepared and the five methods are trained on it."""
    path = tmp_path_factory.mktemp("work")
    fork(path, "relcon-prepare", *SIMULATED[:1], "data.source.participants=16", *SIMULATED[2:])
    sweep(path, "+methods=pretrain")
    return path


def sweep(path, *arguments):
    return fork(path, "relcon-pretrain", "-m", "--config-dir", str(EXPERIMENTS), *arguments, *SMALL)


def checkpoints(path, place):
    return {p.relative_to(path / place).parts[0] for p in (path / place).glob("*/seed0/checkpoints/last.ckpt")}


def test_the_methods(folder):
    assert checkpoints(folder, "runs/simulated/methods") == {"distance", "relcon", "rebar", "simclr", "augpred"}


@pytest.mark.parametrize("table", ["table1", "table2"])
def test_the_tables_that_simulated_people_are_judged_in(folder, table):
    output = fork(folder, "relcon-eval", "--config-dir", str(EXPERIMENTS), f"+{table}=simulated", "seeds=[0]")
    assert f"reports/{table}/simulated/report.html" in output.splitlines()[-1]
    report = (folder / "reports" / table / "simulated" / "report.md").read_text()
    for system in ("relcon", "rebar", "simclr", "augpred", "random encoder", "hand-crafted"):
        assert f"| {system}" in report
    assert "SIMULATED" in report


def test_the_ablations(folder):
    distances = {"full", "no_augmentation", "no_revin", "softmax"}
    sweep(folder, f"+table5/distance={','.join(sorted(distances))}")
    assert checkpoints(folder, "runs/simulated/table5/distance") == distances
    sweep(folder, f"+table5/relcon={','.join(sorted(distances | {'no_within_user'}))}")
    assert checkpoints(folder, "runs/simulated/table5/relcon") == distances | {"no_within_user"}


def test_the_losses_and_the_other_encoder(folder):
    sweep(folder, "+table6=losses")
    sweep(folder, "+table6=rebar")
    assert checkpoints(folder, "runs/simulated/table6") == {"relative", "log_ratio", "rebar"}
    fork(folder, "relcon-pretrain", "-m", "--config-dir", str(EXPERIMENTS), "+table7=resnet18", *SMALL[:1], *SMALL[2:])
    assert checkpoints(folder, "runs/simulated/table7") == {"resnet18"}
