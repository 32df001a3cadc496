"""``--help`` says in plain words what a command does, with examples, and every value and choice there is."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest
import yaml

import relcon_lightning
from relcon_lightning.cli.completion import for_the_others
from relcon_lightning.cli.usage import PARTS, WIDTH, help_text, values
from tests.test_readme import COMPOSED, ENTRIES, GROUPS, compose_line

CONF = Path(__file__).parents[2] / "conf"
SCRIPTS = {script.name: script for script in entry_points(group="console_scripts") if script.name.startswith("relcon-")}


def shown(entry: str, monkeypatch, capsys) -> str:
    monkeypatch.setattr(sys, "argv", [f"relcon-{entry}", "--help"])
    with pytest.raises(SystemExit) as end:
        SCRIPTS[f"relcon-{entry}"].load()()
    assert end.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("entry", sorted(ENTRIES.values()))
def test_help_has_every_value_and_examples_that_compose(entry, monkeypatch, capsys):
    text = shown(entry, monkeypatch, capsys)
    own = yaml.safe_load((CONF / f"{entry}.yaml").read_text())
    for key in own.keys() - {"defaults", "hydra"}:
        assert re.search(rf"^  {key}:", text, re.M), key
    assert "defaults" not in text
    examples = [line.strip() for line in text.splitlines() if line.startswith("  relcon-")]
    assert len(examples) >= 2
    for line in examples:
        assert line.startswith(f"relcon-{entry}")
        compose_line(line)


def test_help_lists_the_choices_and_no_part_of_them(monkeypatch, capsys):
    text = shown("pretrain", monkeypatch, capsys)
    choices = text[text.index("Choices") :]
    for group in set(GROUPS) & set(re.findall(r"^  (\w+) ", choices, re.M)):
        row = re.search(rf"^  {group} +(.*(?:\n {{16}}.*)*)", choices, re.M)
        assert row is not None
        assert set(re.split(r",\s+", row[1])) == {p.stem for p in (CONF / group).glob("*.yaml")} - PARTS
    assert {"model", "data", "trainer"} <= set(re.findall(r"^  (\w+) ", choices, re.M))


def test_what_hydra_would_substitute_stays_as_it_is_written(monkeypatch, capsys):
    assert "${data.name}" in values(str(CONF), "pretrain")
    assert "${paths.runs}/${data.name}/${model.name}/${name}" in shown("pretrain", monkeypatch, capsys)


def test_help_shows_the_values_in_force(monkeypatch, capsys):
    def line(key: str, *arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["relcon-pretrain", "--help", *arguments])
        with pytest.raises(SystemExit):
            SCRIPTS["relcon-pretrain"].load()()
        return next(x for x in capsys.readouterr().out.splitlines() if x.startswith(f"  {key}: "))

    assert line("temperature").startswith("  temperature: 0.1 # ")
    assert "RandomAugmentations" in line("view")
    assert line("temperature", "preset=gpu") == line("temperature", "preset=paper")
    assert line("temperature", "preset=gpu") == line("temperature", "trainer=gpu")
    assert line("temperature", "preset=gpu").startswith("  temperature: 1.0 # ")
    assert line("temperature", "temperature=0.3").startswith("  temperature: 0.3 # ")
    assert line("seed", "seed=3") == "  seed: 3 # changed from 0 by a choice or an argument"


@pytest.mark.parametrize("entry", sorted(ENTRIES.values()))
def test_help_fits_its_width_and_its_values_stay_yaml(entry, monkeypatch, capsys):
    text = shown(entry, monkeypatch, capsys)
    assert max(map(len, text.splitlines())) <= WIDTH <= 100
    assert yaml.safe_load(values(str(CONF), entry)).keys() == yaml.safe_load(
        (CONF / f"{entry}.yaml").read_text()
    ).keys() - {"defaults", "hydra"}


def test_long_values_of_an_argument_are_folded(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["relcon-pretrain", "--help", f"trust=[{','.join(['mypackage'] * 20)}]"])
    with pytest.raises(SystemExit):
        SCRIPTS["relcon-pretrain"].load()()
    text = capsys.readouterr().out
    assert text.count("mypackage") >= 20
    assert max(map(len, text.splitlines())) <= WIDTH


@pytest.mark.parametrize("entry", sorted(ENTRIES.values()))
def test_the_text_for_the_documentation_is_that_of_help(entry, monkeypatch, capsys):
    assert help_text(str(CONF), entry).strip() == shown(entry, monkeypatch, capsys).strip()


def test_every_entry_has_a_command():
    assert set(ENTRIES.values()) == {path.stem for path in CONF.glob("*.yaml")}
    assert set(SCRIPTS) == {f"relcon-{entry}" for entry in ENTRIES.values()}
    for script in SCRIPTS.values():
        script.load()
    assert COMPOSED


@pytest.mark.parametrize("script", sorted(SCRIPTS))
def test_help_does_not_wait_for_what_does_the_work(script):
    module, _, name = SCRIPTS[script].value.partition(":")
    code = f"import sys; from {module} import {name} as command; sys.argv = ['x', '--help']; command()"
    program = f"try:\n exec({code!r})\nexcept SystemExit:\n print({{'torch', 'pandas'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", f"import sys\n{program}"], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"


def test_what_is_imported_on_first_use_can_be_listed_and_is_missed_by_name():
    assert {"load_encoder", "embed_recording"} <= set(dir(relcon_lightning))
    with pytest.raises(AttributeError, match="no attribute 'load_encoders'"):
        relcon_lightning.load_encoders  # noqa: B018
    with pytest.raises(ImportError):
        from relcon_lightning.data import Nothing  # noqa: F401


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["-sc", "install=bash"], "complete -o nospace -o default -F hydra_bash_completion relcon-embed"),
        (["--shell-completion", "install=fish"], "complete -c relcon-embed -x -a '(hydra_fish_completion)'"),
    ],
)
def test_completion_is_installed_for_all_commands_at_once(arguments, line):
    assert line in for_the_others(arguments)
    assert len(for_the_others(arguments)) >= 8
    assert not for_the_others(["-sc", "query=bash"])
    assert not for_the_others(["install=bash"])
