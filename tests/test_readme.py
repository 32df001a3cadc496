"""What the README shows is true."""

from __future__ import annotations

import html
import importlib.util
import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_dir

from relcon_lightning import load_encoder, nets
from relcon_lightning.cli.app import config_folder
from relcon_lightning.cli.commands import with_folder, with_table
from relcon_lightning.cli.usage import PARTS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
CHOICES = (ROOT / "docs" / "choices.md").read_text()


def commands(text: str) -> list[str]:
    return [line for block in re.findall(r"```bash\n(.*?)```", text, re.S) for line in block.splitlines() if line]


COMMANDS = commands(README)
PAGES = sorted([*(ROOT / "experiments").rglob("*.md"), *(ROOT / "docs").glob("*.md")])
RUN_ELSEWHERE = {"add_method", "add_data"}  # by tests/integration/test_contributing.py, with the files that they add
ALL = [*COMMANDS, *(line for p in PAGES if p.stem not in RUN_ELSEWHERE for line in commands(p.read_text()))]


ENTRIES = {
    "relcon-eval": "eval",
    "relcon-prepare": "prepare",
    "relcon-inspect": "inspect",
    "relcon-report": "report",
    "relcon-embed": "embed",
    "relcon-export": "export",
    "relcon-dashboard": "dashboard",
    "relcon-table": "table",
    "": "pretrain",
}


COMPOSED = [c for c in ALL if "relcon-" in c or "relcon_lightning.cli" in c]


def compose_line(line: str) -> None:
    """Compose the configuration of a command as it is written, a sweep's first job."""
    words = shlex.split(line, comments=True)
    entry = next(entry for name, entry in ENTRIES.items() if name in line or f"cli.{entry} " in line)
    overrides = [w.replace("$data", "wisdm").rstrip(";") for w in words if re.match(r"^[\w./+]+=|^~", w)]
    overrides = with_folder(overrides) if entry == "eval" else overrides
    if entry == "table":  # whose name is a word by itself
        named = [word for word in words[1:] if "=" in word or re.fullmatch(r"((figure)?\d,?)+", word)]
        overrides = with_table(named)
    first = [
        w if w.startswith(("pretrain=[", "evaluate=[")) else re.sub(r"=(\[[^]]*\]|[^\[,]+),.*", r"=\1", w)
        for w in overrides
    ]
    if "+search=optuna" in first:  # the search replaces what is between brackets by a value
        first = [w for w in first if not re.search(r"=(choice|range|interval|int|tag)\(", w)]
    experiments = [f"hydra.searchpath=[file://{ROOT / 'experiments'}]"] if "--config-dir" in words else []
    with initialize_config_dir(config_folder(), version_base="1.3"):
        config = compose(entry, ["++run_dir=here", *experiments, *first])
        if entry == "table":
            compose("pretrain", ["++run_dir=here", *config.pretrain])


@pytest.mark.parametrize("line", COMPOSED)
def test_every_command_composes(line):
    compose_line(line)


def test_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text()
    targets = {line.split()[1] for line in COMMANDS if line.startswith("make ")}
    assert targets == {"pretrain", "eval"}
    for target in targets:
        assert f"\n{target}: " in makefile


@pytest.mark.parametrize("name", ["resnet34", "resnet18", "small"])
def test_parameter_counts_are_stated_as_they_are(name):
    make = {"resnet34": nets.resnet34_1d, "resnet18": nets.resnet18_1d, "small": nets.small_resnet_1d}[name]
    assert f"{sum(p.numel() for p in make().parameters()):,}" in CHOICES


GROUPS = [
    *("model", "data", "sampling", "encoder", "loss", "trainer", "probe", "baseline", "task", "ranking"),
    *("augmentation", "logger"),
]


def test_choices_are_those_of_the_configuration():
    for group in GROUPS:
        row = next(line for line in CHOICES.splitlines() if line.startswith(f"| `{group}`"))
        shown = set(re.findall(r"`(\w+)`", row.split("|")[2]))
        assert shown == {p.stem for p in (ROOT / "conf" / group).glob("*.yaml")} - PARTS


def test_links_lead_somewhere():
    for page in (ROOT / "README.md", *PAGES):
        for link in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            assert link.startswith("https://") or (page.parent / link).exists(), link
    assert callable(load_encoder)


def test_the_figure_shows_the_measured_table():
    spec = importlib.util.spec_from_file_location("results_figure", ROOT / "docs" / "results_figure.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    scores = script.read_scores(script.PAGE.read_text("utf-8"))
    assert len(scores) == 4
    assert all(set(script.SYSTEMS) <= set(systems) for systems in scores.values())
    for systems in scores.values():
        assert all(0 < low <= mean <= high < 1 for mean, low, high in systems.values())
    drawn = html.unescape((ROOT / "docs" / "results.svg").read_text("utf-8"))
    assert json.dumps(scores, ensure_ascii=False) in drawn  # else: python docs/results_figure.py


def test_the_paper_is_named_alike_everywhere():
    title = "RelCon: Relative Contrastive Learning for a Motion Foundation Model for Wearable Data"
    address = "https://arxiv.org/abs/2411.18822"
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())["preferred-citation"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert README.count(title) == 2
    assert README.count(address) == 2
    assert (citation["title"], citation["url"], citation["year"]) == (title, address, 2025)
    assert project["urls"]["Paper"] == address
    for author in citation["authors"]:
        assert f"{author['given-names']} {author['family-names']}" in re.sub(r"\s+>? ?", " ", README)
        assert f"{author['family-names']}, {author['given-names']}" in re.sub(r"\s+", " ", README)


def test_the_changes_of_this_version_are_listed():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text()
