"""Runs beside each other: what they logged, and what their settings differ in."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import torch
from omegaconf import OmegaConf

from relcon_lightning.cli.app import config_folder
from relcon_lightning.errors import ConfigError
from relcon_lightning.reporting.runs import ends, find_runs, settings, write_runs
from relcon_lightning.runs.checkpoint_format import CHOSEN, FORMAT, KEY
from relcon_lightning.runs.checkpoint_paths import BEST


def trained(folder: Path, steps: int = 2, **config: object) -> None:
    (folder / "csv").mkdir(parents=True)
    table = pd.DataFrame({"step": [-1, steps - 1], "val/loss": [3.0, 1.25], "val/knn_f1": [0.4, None]})
    table.to_csv(folder / "csv" / "metrics.csv", index=False)
    whole = {"data": {"name": "toy"}, "run_dir": str(folder), "trainer": {"default_root_dir": str(folder)}, **config}
    (folder / "run.json").write_text(json.dumps({"config": whole}))


@pytest.fixture
def runs(tmp_path):
    method = {"temperature": 0.1}
    trained(tmp_path / "toy" / "relcon" / "a", model={"name": "relcon", "temperature": 0.1, "method": method}, seed=0)
    trained(
        tmp_path / "toy" / "relcon" / "b",
        steps=9,
        model={"name": "relcon", "temperature": 1.0, "method": {"temperature": 1.0}},
        seed=0,
    )
    trained(tmp_path / "toy" / "simclr" / "a", model={"name": "simclr"}, seed=0)
    (tmp_path / "toy" / "relcon" / "empty").mkdir()
    return tmp_path


def test_a_run_is_named_by_its_folder_and_its_last_values_are_told(runs):
    table = ends(find_runs(str(runs / "*" / "*" / "*")))
    assert list(table.index) == ["relcon/a", "relcon/b", "simclr/a"]
    assert table.loc["relcon/b"].to_dict() == {"steps": "9", "val/loss": "1.25", "val/knn_f1": "0.4"}


def test_the_step_of_the_best_checkpoint_is_told(runs):
    entry = {"format": FORMAT, "config": {}, CHOSEN: {"metric": "val/knn_f1", "value": 0.53125}}
    for name, content in (("a", {KEY: entry, "global_step": 40, "state_dict": {}}), ("b", {})):
        path = runs / "toy" / "relcon" / name / BEST
        path.parent.mkdir()
        torch.save(content, path)
    table = ends(find_runs(str(runs / "*" / "*" / "*")))
    assert table["best.ckpt"].tolist() == ["step 40: val/knn_f1 0.5312", "cannot be read", ""]


def test_jobs_of_a_sweep_are_found_beside_single_runs(runs):
    trained(runs / "toy" / "sweeps" / "relcon" / "temperature-1-seed0", model={"name": "relcon"}, seed=0)
    config = OmegaConf.load(Path(config_folder()) / "report.yaml")
    config.paths = {"runs": str(runs)}
    found = find_runs([str(pattern) for pattern in config.runs])
    assert "sweeps/relcon/temperature-1-seed0" in [run.name for run in found]
    assert len(found) == 4


def test_settings_that_all_share_and_places_are_left_out_and_what_follows_is_told_once(runs):
    table = settings(find_runs([str(runs / "toy" / "relcon" / "*")]))
    assert table.to_dict("index") == {"a": {"model.temperature": "0.1"}, "b": {"model.temperature": "1.0"}}


def test_the_page_has_tables_and_pictures_and_fetches_nothing(runs):
    page = write_runs(find_runs(str(runs / "*" / "*" / "*")), runs / "out").read_text()
    for text in ("relcon/b", "model.temperature", "toy: last values", "data:image/png;base64,"):
        assert text in page
    assert "http" not in page


def test_no_run_and_a_damaged_run_are_named(runs):
    with pytest.raises(ConfigError, match="matches no folder of relcon-pretrain"):
        find_runs(str(runs / "*"))
    (runs / "toy" / "relcon" / "a" / "run.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"relcon/a contains no complete run"):
        find_runs(str(runs / "*" / "*" / "*"))
