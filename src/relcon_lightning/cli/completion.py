"""Extend Hydra's Tab completion of one command to all commands."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import entry_points

_LINES = {
    "bash": "complete -o nospace -o default -F hydra_bash_completion {}",
    "zsh": "complete -o nospace -o default -F hydra_bash_completion {}",
    "fish": "complete -c {} -x -a '(hydra_fish_completion)'",
}


def for_the_others(arguments: Sequence[str]) -> list[str]:
    """Lines that follow Hydra's script for one command, so that it completes every command of the package.

    Args:
        arguments: Arguments on the command line; without ``-sc install=SHELL`` there is nothing to add.
    """
    if not {"-sc", "--shell-completion"} & set(arguments):
        return []
    shell = next((word.partition("=")[2] for word in arguments if word.startswith("install=")), "")
    names = sorted(script.name for script in entry_points(group="console_scripts") if script.name.startswith("relcon-"))
    return [_LINES[shell].format(name) for name in names] if shell in _LINES else []
