"""Entry points of the installed commands."""

from __future__ import annotations

import re
from pathlib import Path

from relcon_lightning.cli import early, rerun
from relcon_lightning.cli.app import Command, config_folder
from relcon_lightning.cli.presets import with_preset


def with_folder(arguments: list[str]) -> list[str]:
    """Arguments of an evaluation, with ``data=folder`` for recordings in ``task.root`` unless ``data`` is given."""
    keys = {word.partition("=")[0].lstrip("+") for word in arguments}
    return ["data=folder", *arguments] if "task.root" in keys and "data" not in keys else arguments


def with_runs(arguments: list[str]) -> list[str]:
    """Arguments of a report; the word ``runs`` alone selects the comparison of runs."""
    return ["compare=runs" if word == "runs" else word for word in arguments]


def with_run(arguments: list[str]) -> list[str]:
    """Arguments of a training, with those of the run in ``from_run=`` and the preset of its trainer."""
    return with_preset(config_folder(), rerun.expand(arguments, Path(config_folder())))


def with_table(arguments: list[str]) -> list[str]:
    """Arguments of a table: its name may be the first word, and unknown keys are passed to its runs."""
    own, others = [], []
    for word in arguments:
        key = word.partition("=")[0]
        if re.fullmatch(r"((table|figure)?\d+)(,(table|figure)?\d+)*", word):
            names = [name if not name.isdigit() else f"table{name}" for name in word.split(",")]
            own.append(f"table={','.join(names)}")
        elif "=" in word and not word.startswith("-") and key.lstrip("+~").split(".")[0] not in _OF_TABLE:
            others.append(word)
        else:
            own.append(word)
    quoted = ",".join("'" + word.replace("\\", "\\\\").replace("'", "\\'") + "'" for word in others)
    return [*own, f"pretrain=[{quoted}]"] if others else own


_OF_TABLE = {"table", "seeds", "pretrain", "evaluate", "gait", "workout", "dry_run", "folder", "paths", "hydra"}

prepare = Command("prepare")
inspect = Command("inspect")
pretrain = Command(
    "pretrain", expand=with_run, again="Continue with the same command and resume=auto.", check=early.pretrain
)
evaluate = Command("eval", "evaluate", expand=with_folder, check=early.evaluate)
report = Command("report", expand=with_runs)
dashboard = Command("dashboard")
embed = Command("embed", again="Finished recordings are kept. Continue with the same command.", check=early.embed)
export = Command("export", check=early.export)
table = Command("table", expand=with_table)
