"""The dashboard shows what was logged, through wandb's own library."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from relcon_lightning.errors import ConfigError
from relcon_lightning.reporting.dashboard import Dashboard, build, plan


def log(folder: Path, *keys: str) -> None:
    (folder / "csv").mkdir(parents=True)
    (folder / "csv" / "metrics.csv").write_text(",".join(("epoch", "step", *keys)) + "\n0,1\n")


@pytest.fixture
def planned(tmp_path) -> Dashboard:
    log(tmp_path / "runs" / "watch" / "relcon" / "seed0", "train/loss", "val/loss", "val/average_precision", "lr-Adam")
    log(tmp_path / "runs" / "watch" / "simclr" / "seed0", "train/loss", "val/loss")
    for data in ("watch", "hhar"):
        for probe in ("linear", "mlp"):
            part = f"eval/{data}/activity/{probe}"
            scores = [f"{part}/window/f1/{system}" for system in ("relcon", "random encoder")]
            log(tmp_path / "reports" / data / probe, *scores, f"{part}/recording/f1/relcon")
    return plan([str(tmp_path / "runs"), str(tmp_path / "reports")], "relcon", "Compared")


def test_training_has_a_panel_a_metric_and_an_evaluation_a_bar_a_system(planned):
    training, hhar, watch = planned.sections
    assert {panel.title: panel.metrics for panel in training.panels} == {
        "loss": ("train/loss", "val/loss"),
        "average_precision": ("val/average_precision",),
        "lr-Adam": ("lr-Adam",),
    }
    assert {panel.kind for panel in training.panels} == {"line"}
    for section, data in ((hhar, "hhar"), (watch, "watch")):
        assert section.name == f"Evaluation on {data}"
        assert {panel.title: panel.metrics for panel in section.panels} == {
            f"activity: f1 by {level}, {probe}": tuple(
                f"eval/{data}/activity/{probe}/{level}/f1/{system}" for system in systems
            )
            for probe in ("linear", "mlp")
            for level, systems in (("recording", ["relcon"]), ("window", ["random encoder", "relcon"]))
        }
        assert {panel.kind for panel in section.panels} == {"bar"}
    assert planned.group_by == "model.name"


def test_the_plan_is_described_and_saved(planned, tmp_path):
    text = "\n".join(planned.describe())
    for part in ("Compared", "project relcon", "grouped by model.name", "loss (line): train/loss, val/loss"):
        assert part in text
    planned.save(tmp_path / "out" / "dashboard.json")
    saved = json.loads((tmp_path / "out" / "dashboard.json").read_text())
    assert saved["sections"][0]["panels"][0]["metrics"]


def test_wandb_s_library_gets_every_panel(planned):
    panels = pytest.importorskip("wandb_workspaces.reports.v2", reason="the extra dashboard is not installed")
    workspace = build(planned, "team")
    assert (workspace.entity, workspace.project, workspace.name) == ("team", "relcon", "Compared")
    training, evaluation, _ = workspace.sections
    lines = {panel.title: panel for panel in training.panels}
    assert all(isinstance(panel, panels.LinePlot) for panel in lines.values())
    assert [str(getattr(y, "name", y)) for y in lines["loss"].y] == ["train/loss", "val/loss"]
    assert all(isinstance(panel, panels.BarPlot) for panel in evaluation.panels)
    assert [group.name for group in workspace.runset_settings.groupby] == ["model.name"]


def test_nothing_logged_and_a_missing_library_are_named(planned, tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match=r"No run below .*nowhere has logged anything"):
        plan([str(tmp_path / "nowhere")], "relcon", "x")
    monkeypatch.setitem(sys.modules, "wandb_workspaces.reports.v2", None)
    with pytest.raises(ConfigError, match=r"pip install 'relcon-lightning\[dashboard\]'"):
        build(planned, "team")
