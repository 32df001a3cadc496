"""A run's folder may come from a stranger: what is taken from it imports nothing and acts on no other folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from relcon_lightning.cli.app import config_folder
from relcon_lightning.cli.rerun import expand, report_differences
from relcon_lightning.errors import ConfigError

CONF = Path(config_folder())
HYDRA = {"hydra": {"runtime": {"config_sources": [{"provider": "main", "path": "conf"}]}}}


def run(tmp_path, overrides, hydra=HYDRA):
    folder = tmp_path / "first"
    (folder / ".hydra").mkdir(parents=True)
    text = overrides if isinstance(overrides, str) else yaml.safe_dump(overrides)
    (folder / ".hydra" / "overrides.yaml").write_text(text)
    (folder / ".hydra" / "hydra.yaml").write_text(hydra if isinstance(hydra, str) else yaml.safe_dump(hydra))
    return folder


def test_choices_numbers_words_and_places_that_are_read_are_taken(tmp_path):
    words = ["model=relcon", "seed=3", "model.learning_rate=3e-4", "data.ratios=[10, 3, 3]", "~callbacks.pictures"]
    words += ["model.distance_checkpoint=runs/watch/distance/a b", "data.root=/mnt/cohorts", "callbacks.speed=null"]
    words += ["trainer.precision=bf16-mixed", "+trainer.accumulate_grad_batches=2", "temperature=.5", "logger=csv"]
    folder = run(tmp_path, words)
    assert expand([f"from_run={folder}"], CONF) == [*words, "name=first-again", f"from_run={folder}"]


def test_what_is_given_counts_more_and_places_of_that_run_are_left_out(tmp_path):
    words = ["seed=3", "name=first", "paths.runs=/mnt/runs", "hydra.run.dir=/etc", "folder=/etc", "resume=auto"]
    words += ["run_dir=/etc", "logger.csv.save_dir=/etc", "hydra/launcher=submitit_local", "+cluster=slurm"]
    words += ["hydra.searchpath=[file:///tmp/evil]"]
    folder = run(tmp_path, words)
    given = [f"from_run={folder}", "seed=4", "name=other"]
    assert expand(given, CONF) == given


@pytest.mark.parametrize(
    "word",
    [
        "model.method._target_=os.system",
        "+callbacks.x._target_=os.system",
        "+callbacks.x={_target_: os.system}",
        "callbacks={x: {_target_: os.system}}",
        "trainer.plugins=[{_target_: os.system}]",
        "+model.method._args_=[1]",
        "callbacks.checkpoint.dirpath=thesis",
        "callbacks.finite.folder=thesis",
        "callbacks.checkpoint.filename=../../thesis",
        "trainer.default_root_dir=thesis",
        "loss.path=os.system",
        "model=../../../tmp/evil",
        "model=/tmp/evil",
        "model=evil",
        "+model/base@evil=base",
        "data.name=../../thesis",
        "model.name=..",
        "seed=${oc.env:SECRET}",
        "data.root=${oc.env:SECRET}",
        "data.root=s3://evil/bucket",
        "model.distance_checkpoint=hf://evil/net",
        "trainer.strategy='a b'",
        "seed",
        "",
    ],
)
def test_what_could_import_or_write_is_refused_until_it_is_given_here(tmp_path, word):
    folder = run(tmp_path, ["gather=true", word])
    with pytest.raises(ConfigError, match="are not taken from a file") as raised:
        expand([f"from_run={folder}"], CONF)
    assert repr(word) in str(raised.value)
    if "=" in word:
        given = [f"from_run={folder}", word]
        assert expand(given, CONF) == ["gather=true", "name=first-again", *given]


def test_a_configuration_folder_is_not_taken_from_a_file(tmp_path):
    sources = [{"provider": "command-line", "path": "file:///tmp/evil"}]
    folder = run(tmp_path, ["+mine=a", "seed=1"], {"hydra": {"runtime": {"config_sources": sources}}})
    with pytest.raises(ConfigError, match="add --config-dir"):
        expand([f"from_run={folder}"], CONF)
    own = tmp_path / "own"
    (own / "mine").mkdir(parents=True)
    (own / "mine" / "a.yaml").write_text("seed: 4\n")
    for given in (["--config-dir", str(own)], [f"--config-dir={own}"]):
        arguments = [f"from_run={folder}", *given]
        assert expand(arguments, CONF) == ["+mine=a", "seed=1", "name=first-again", *arguments]


BOMB = "a: &a [x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    "text", [BOMB, "- seed=3\n" * 20_000, "[" * 5_000, "seed: 3", "- 3", "!!python/object:os.system x", "\xff: ["]
)
def test_a_file_that_is_no_short_list_of_words_is_named(tmp_path, text):
    for overrides, hydra in ((text, HYDRA), ([], text)):
        folder = run(tmp_path / str(hydra is text), overrides, hydra)
        with pytest.raises(ConfigError, match="first"):
            expand([f"from_run={folder}"], CONF)


@pytest.mark.parametrize("record", [{}, [], {"versions": 3, "git": None}, {"versions": {}, "git": {}, "data": []}])
def test_a_record_of_another_form_is_named(tmp_path, record):
    (tmp_path / "run.json").write_text(json.dumps(record))
    whole = {"versions": {}, "git": None, "data": {"store": "a", "cohort.json": "b", "files": "c"}, "config": {}}
    with pytest.raises(ConfigError, match="not a run that can be repeated"):
        report_differences(str(tmp_path), whole)
