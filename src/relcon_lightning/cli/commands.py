"""Entry points of the installed commands."""

from __future__ import annotations

from pathlib import Path

from relcon_lightning.cli import rerun
from relcon_lightning.cli.app import command, config_folder


def with_folder(arguments: list[str]) -> list[str]:
    """The arguments of an evaluation; recordings in ``task.root`` are read as ``data=folder`` unless they say how."""
    keys = {word.partition("=")[0] for word in arguments}
    return ["data=folder", *arguments] if "task.root" in keys and "data" not in keys else arguments


def with_runs(arguments: list[str]) -> list[str]:
    """The arguments of a report; the word ``runs`` alone asks for a comparison of runs."""
    return ["compare=runs" if word == "runs" else word for word in arguments]


def with_run(arguments: list[str]) -> list[str]:
    """The arguments of a training with those of the run in ``from_run=``."""
    return rerun.expand(arguments, Path(config_folder()))


prepare = command("prepare")
inspect = command("inspect")
pretrain = command("pretrain", expand=with_run, again="Continue with the same command and resume=auto.")
evaluate = command("eval", "evaluate", expand=with_folder)
report = command("report", expand=with_runs)
dashboard = command("dashboard")
embed = command("embed", again="Recordings that are done are kept: go on with the same command.")
export = command("export")
