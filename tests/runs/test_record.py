"""A run's record is read back, kept when the run goes on, and compared part by part."""

from __future__ import annotations

import copy
import json

import pytest

from relcon_lightning.errors import ConfigError
from relcon_lightning.runs.record import FILE, differences, load_record, make_record, save_record


@pytest.fixture
def record(toy_store):
    settings = {"seed": 0, "data": {"name": "toy", "root": "data"}, "model": {"method": {"temperature": 1.0}}}
    return make_record(settings, toy_store)


def test_what_is_saved_is_read_and_differs_in_nothing(tmp_path, record):
    save_record(record, tmp_path)
    assert load_record(tmp_path) == record
    assert differences(load_record(tmp_path), record) == []
    assert record["versions"].keys() >= {"python", "torch", "lightning", "relcon-lightning"}
    assert record["machine"]["threads"] == 1
    assert len(record["data"]["cohort.json"]) == 64


def test_records_of_a_run_that_goes_on_are_kept(tmp_path, record):
    for seed in (0, 1, 2):
        save_record({**record, "started": seed}, tmp_path)
    kept = [json.loads((tmp_path / name).read_text())["started"] for name in ("run.1.json", "run.2.json", FILE)]
    assert kept == [0, 1, 2]


def test_each_thing_that_could_matter_is_named_and_places_are_not(record):
    other = copy.deepcopy(record)
    other["versions"]["torch"] = "0.1"
    other["git"] = None if record["git"] else {"commit": "abc", "changed": True}
    other["data"]["cohort.json"] = "another"
    other["config"]["model"]["method"]["temperature"] = 0.1
    other["config"]["seed"] = 5
    other["config"]["data"]["root"] = "elsewhere"
    found = "\n".join(differences(record, other))
    for name in ("versions.torch", "git", "is not the data of", "model.method.temperature", "seed"):
        assert name in found
    assert "data.root" not in found


@pytest.mark.parametrize("content", [None, "{"])
def test_a_folder_without_a_record_is_named(tmp_path, content):
    if content is not None:
        (tmp_path / FILE).write_text(content)
    with pytest.raises(ConfigError, match=rf"{tmp_path.name} is not a run that can be repeated"):
        load_record(tmp_path)
