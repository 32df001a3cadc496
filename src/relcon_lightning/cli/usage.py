"""Lists of the configuration in ``--help``: ``${values:eval}`` and ``${choices:data}`` in the templates."""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import yaml
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import OmegaConf

PARTS = {"base"}  # shared defaults of a group's choices, which are not a choice
WIDTH = 88  # width of the help in characters
_BESIDE = 40  # maximum width of a value; a longer one has its comment below it
_VALUE = re.compile(r"(?P<value>(?P<indent> *)[^#]*?)(?: +# (?P<comment>.*))?")
_WHOLE_WORDS: dict[str, Any] = {"break_long_words": False, "break_on_hyphens": False}
_SECTION = re.compile(r"^(\w+):(?: (?P<value>[^#]*?))?(?P<comment> +#.*)?$")


def register(folder: str) -> None:
    """Make the lists available to the templates.

    Args:
        folder: Folder of the configuration.
    """
    OmegaConf.register_new_resolver("values", lambda entry: _escaped(values(folder, entry, sys.argv[1:])), replace=True)
    OmegaConf.register_new_resolver("choices", lambda *groups: _escaped(choices(folder, groups)), replace=True)


def help_text(folder: str, entry: str) -> str:
    """The help of a command without arguments.

    Args:
        folder: Folder of the configuration.
        entry: Name of the command's file in this folder, without ``.yaml``.
    """
    template: str = yaml.safe_load(Path(folder, f"{entry}.yaml").read_text("utf-8"))["hydra"]["help"]["template"]
    text = re.sub(r"\$\{values:(\w+)\}", lambda found: values(folder, found[1]), template)
    return re.sub(r"\$\{choices:([\w,]+)\}", lambda found: choices(folder, found[1].split(",")), text)


def values(folder: str, entry: str, arguments: Sequence[str] = ()) -> str:
    """The values that an entry file sets, with their comments.

    If a default choice such as ``preset=laptop`` sets a value, the value in force is shown, and the comment says so.

    Args:
        folder: Folder of the configuration.
        entry: Name of the entry file, without ``.yaml``.
        arguments: Arguments of the command line, which may select other choices.
    """
    lines = Path(folder, f"{entry}.yaml").read_text("utf-8").splitlines()
    own = yaml.safe_load("\n".join(lines))
    in_force = _composed(folder, entry, arguments)
    kept, section, changed = [], "", False
    for line in lines:
        if line and not line.startswith((" ", "#")):
            section = line.partition(":")[0]
            changed = section in in_force and _plain(in_force[section]) != _plain(own[section])
            if changed and not isinstance(own[section], dict) and (found := _SECTION.match(line)):
                said = [found["comment"].lstrip(" #")] if found["comment"] else []
                if own[section] != "???":
                    said.append(f"changed from {_flow(own[section])} by a choice or an argument")
                line = " # ".join([f"{section}: {_flow(in_force[section])}", *filter(None, ["; ".join(said)])])
        if section not in ("", "defaults", "hydra"):
            kept += _folded(f"  {line}".rstrip())
    return "\n".join(kept).rstrip()


def choices(folder: str, groups: Iterable[str]) -> str:
    """One line per group: its name and its choices."""
    lines = []
    for group in groups:
        names = ", ".join(sorted(path.stem for path in Path(folder, group).glob("*.yaml") if path.stem not in PARTS))
        lines += textwrap.wrap(names, WIDTH, initial_indent=f"  {group:<14}", subsequent_indent=16 * " ")
    return "\n".join(lines)


def _folded(line: str) -> list[str]:
    """Wrap a line of YAML. A wrapped comment is aligned with its first line."""
    found = _VALUE.fullmatch(line)
    if len(line) <= WIDTH or found is None:
        return [line]
    value, comment, deeper = found["value"], found["comment"], found["indent"] + 4 * " "
    if comment and len(value) <= _BESIDE:
        below = (len(value) + 1) * " " + "# "
        return textwrap.wrap(comment, WIDTH, initial_indent=f"{value} # ", subsequent_indent=below, **_WHOLE_WORDS)
    kept = textwrap.wrap(value, WIDTH, subsequent_indent=deeper, **_WHOLE_WORDS)
    below = f"{deeper}# "
    return kept + textwrap.wrap(comment or "", WIDTH, initial_indent=below, subsequent_indent=below, **_WHOLE_WORDS)


def _composed(folder: str, entry: str, arguments: Sequence[str]) -> dict[str, Any]:
    """The composed values before references are resolved; without the arguments if they cannot be composed."""
    overrides = [argument for argument in arguments if re.match(r"[\w./@+~]+=", argument)]
    running = GlobalHydra.instance().is_initialized()
    with nullcontext() if running else initialize_config_dir(folder, version_base="1.3"):
        try:
            config = compose(entry, overrides)
        except HydraException:
            config = compose(entry)
        content = OmegaConf.to_container(config, resolve=False)
    assert isinstance(content, dict)
    return {str(key): value for key, value in content.items()}


def _plain(value: Any) -> str:
    """Normalise a value read by YAML or OmegaConf: plain YAML reads ``1e-3`` as text."""
    return str(yaml.safe_dump(OmegaConf.to_container(OmegaConf.create({"value": value}), resolve=False)))


def _flow(value: Any) -> str:
    """A value on one line, as in a command."""
    text: str = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10_000)
    return text.removesuffix("\n").removesuffix("\n...").strip()


def _escaped(text: str) -> str:
    """Escape dollars, which Hydra would substitute."""
    return text.replace("$", "$$")
