"""Values that Hydra's grammar does not take: a path is opened as it is, anything else is shown in quotes."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from relcon_lightning.cli import commands
from relcon_lightning.cli.quoting import quoted
from relcon_lightning.errors import ConfigError

ROOT = Path(__file__).parents[2]


def read(word):
    return OverridesParser.create().parse_override(word).value()


def suggested(word):
    """The override in the message, as a shell hands it on."""
    with pytest.raises(ConfigError) as error:
        quoted([word])
    *_, line = str(error.value).splitlines()
    [meant] = shlex.split(line.rpartition("->")[2])
    return meant


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        (";", ";"),
        ("[^/_]+", "[^/_]+"),
        ("loggingTime(txt)", "loggingTime(txt)"),
        ("[accX(G),accY(G),accZ(G)]", ["accX(G)", "accY(G)", "accZ(G)"]),
        ("[Acceleration x (m/s^2), y (a,b), z #1]", ["Acceleration x (m/s^2)", "y (a,b)", "z #1"]),
        ("S01 (2024-03-05).csv", "S01 (2024-03-05).csv"),
        ("étude.csv", "étude.csv"),
        ("p=1.csv", "p=1.csv"),
        ("it's.csv", "it's.csv"),
        ("both\"and'.csv", "both\"and'.csv"),
        ("S[0-9]+", "S[0-9]+"),
        ("#x", "#x"),
        (",", ","),
        ("~/x.csv", "~/x.csv"),
        ("a&b\\", "a&b\\"),
    ],
)
def test_the_suggestion_is_read_as_it_was_meant(tmp_path, monkeypatch, value, meant):
    monkeypatch.chdir(tmp_path)
    assert read(suggested(f"data.source.key={value}")) == meant


@given(st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="$"), min_size=1, max_size=12))
def test_whatever_the_value_the_command_gets_it_or_the_suggestion_does(value):
    try:
        [word] = quoted([f"key={value}"])
    except ConfigError:
        assert read(suggested(f"key={value}")) in (value, [value[1:-1]], None) or value.startswith("[")
    else:
        assert word in (f"key={value}", f'key="{value}"', f"key='{value}'")


@pytest.mark.parametrize("name", ["S01 (2024-03-05).csv", "étude.csv", "p=1.csv", "a,b.csv", "it's [1].csv", "x;y"])
def test_a_path_that_exists_stands_for_itself(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).touch()
    [word] = quoted([f"input={name}"])
    assert read(word) == name
    assert quoted([f'input="{name}"']) == [f'input="{name}"']


def test_what_hydra_reads_stays(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = [
        "-m",
        "seed=0,1",
        "model.temperature=range(3)",
        "~logger",
        "+cluster=slurm",
        "--config-dir",
        "a;b",
        "x=[1,2]",
    ]
    assert quoted(words) == words


PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES += sorted((ROOT / "experiments").rglob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_shell_and_hydra_take_every_documented_command(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```bash\n(.*?)```", page.read_text(), re.DOTALL)
    text = "\n".join(blocks).replace("\\\n", " ")
    commands = [line for line in text.splitlines() if re.match(r"(\w+=\S+ )*(torchrun .*)?relcon-", line)]
    said = subprocess.run(
        ["bash", "-c", "".join(f"set -- {command}\nprintf '%s\\0' \"$@\"\n" for command in commands)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stderr == ""
    words = said.stdout.split("\0")[:-1]
    assert [word.count("=") > 0 for word in words].count(True) >= len([c for c in commands if "=" in c])
    assert quoted(words) == words


@pytest.mark.parametrize("command", ["embed", "prepare", "pretrain", "evaluate", "inspect", "export", "report"])
def test_every_command_says_it(monkeypatch, capsys, caplog, tmp_path, command):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [f"relcon-{command}", "data.source.separator=;"])
    with pytest.raises(SystemExit) as end:
        getattr(commands, command)()
    assert end.value.code == 2
    assert "'data.source.separator=\";\"'" in caplog.text + capsys.readouterr().err
