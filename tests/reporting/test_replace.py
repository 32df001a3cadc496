"""An evaluation takes the place of the same one alone."""

from __future__ import annotations

import pytest

from relcon_lightning.errors import ConfigError
from relcon_lightning.reporting.replace import make_room, refuse_to_replace

SETTINGS = {
    "checkpoint": "runs/a",
    "seeds": [0, 1],
    "task": {"name": "labels", "folds": {"k": 5}},
    "baseline": {},
    "folder": "here",
    "overwrite": False,
    "logger": {"csv": {"save_dir": "x"}},
}


@pytest.fixture
def finished(tmp_path):
    make_room(tmp_path, SETTINGS)
    (tmp_path / "scores.parquet").touch()
    (tmp_path / "f1.png").touch()
    return tmp_path


def test_the_same_evaluation_comes_again_wherever_its_logs_go(finished):
    refuse_to_replace(finished, {**SETTINGS, "logger": {}, "folder": "./here", "overwrite": True})
    refuse_to_replace(finished, SETTINGS)
    refuse_to_replace(finished, {**SETTINGS, "task": {"dataset": "walks", **SETTINGS["task"]}})


def test_settings_of_an_earlier_version_that_spelt_a_key_otherwise_are_the_same(tmp_path):
    make_room(tmp_path, {**SETTINGS, "data": {"archive": {"licence": "CC BY 4.0"}}})
    (tmp_path / "scores.parquet").touch()
    refuse_to_replace(tmp_path, {**SETTINGS, "data": {"archive": {"license": "CC BY 4.0"}}})


@pytest.mark.parametrize("content", ["[1]", "null", "{", '"text"'])
def test_settings_that_cannot_be_read_are_unknown(finished, content):
    (finished / "settings.json").write_text(content)
    with pytest.raises(ConfigError, match="an evaluation with unknown settings"):
        refuse_to_replace(finished, SETTINGS)


@pytest.mark.parametrize(
    ("other", "difference"),
    [
        ({"checkpoint": "runs/b"}, r"\(checkpoint=runs/a there, runs/b now\)"),
        ({"task": {"name": "labels", "folds": {"k": 3}}}, r"\(task\.folds\.k=5 there, 3 now\)"),
        ({"baseline": {"conv": {"classes": 3}}}, r"baseline\.conv\.classes=None there, 3 now"),
    ],
)
def test_another_evaluation_is_refused_and_named_unless_it_may_overwrite(finished, other, difference):
    with pytest.raises(ConfigError, match=difference + r".*name=\.\.\., or replace it with overwrite=true"):
        refuse_to_replace(finished, {**SETTINGS, **other})
    refuse_to_replace(finished, {**SETTINGS, **other}, overwrite=True)


def test_an_evaluation_that_does_not_say_what_it_is_of_is_kept(finished):
    (finished / "settings.json").write_text("{")
    with pytest.raises(ConfigError, match="unknown settings"):
        refuse_to_replace(finished, SETTINGS)


def test_a_folder_without_results_is_free_and_pictures_of_the_last_one_go(finished):
    make_room(finished, SETTINGS)
    assert not list(finished.glob("*.png"))
    (finished / "scores.parquet").unlink()
    refuse_to_replace(finished, {**SETTINGS, "checkpoint": "runs/b"})


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_report_does_not_take_the_place_of_a_run(tmp_path, overwrite):
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(ConfigError, match=r"contains a run of relcon-pretrain: choose another folder="):
        refuse_to_replace(tmp_path, SETTINGS, overwrite)
