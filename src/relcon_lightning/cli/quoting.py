"""Quote values that Hydra's grammar cannot parse: paths, patterns and names of columns."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from relcon_lightning.errors import ConfigError

_OVERRIDE = re.compile(r"(\+{0,2}[A-Za-z_][\w./@:-]*)=(.+)", re.DOTALL)


def quoted(words: Sequence[str]) -> list[str]:
    """Quote the values of a command line that Hydra cannot parse and that are paths.

    Values that are paths of existing files or folders are quoted; these can contain any characters.

    Args:
        words: Arguments and options.

    Raises:
        ConfigError: Hydra cannot parse a value. The message shows how to quote it.
    """
    mended, wrong = [], []
    for word in words:
        match = _OVERRIDE.fullmatch(word)
        override = _parsed(word) if match else None
        if not match or (override is not None and not override.is_sweep_override()):
            mended.append(word)
            continue
        key, value = match.groups()
        if _exists(value):
            mended.append(f"{key}={_in_quotes(value)}")
        else:
            mended.append(word)
            if override is None:
                wrong.append((word, _suggestion(key, value)))
    if wrong:
        lines = [f"  {word}  ->  {shlex.quote(meant)}" for word, meant in wrong]
        raise ConfigError("Hydra cannot read these values without quotes. Write them like this:\n" + "\n".join(lines))
    return mended


@cache
def _parser() -> OverridesParser:
    return OverridesParser.create()


def _parsed(word: str) -> Override | None:
    try:
        return _parser().parse_override(word)
    except HydraException:
        return None


def _exists(value: str) -> bool:
    try:
        return Path(value).exists()
    except (OSError, ValueError):  # the name is too long or contains a zero byte
        return False


def _suggestion(key: str, value: str) -> str:
    """Override that Hydra parses as intended: as a list of texts if it looks like a list, otherwise as text."""
    if value.startswith("[") and value.endswith("]"):
        items = [item.strip().strip("\"'") for item in re.split(r",(?![^(\[]*[)\]])", value[1:-1])]
        meant = f"{key}=[{','.join(map(_in_quotes, items))}]"
        if _value(meant) == items:
            return meant
    return f"{key}={_in_quotes(value)}"


def _value(word: str) -> object:
    override = _parsed(word)
    return None if override is None else override.value()


def _in_quotes(text: str) -> str:
    """Quote ``text`` so that Hydra parses it as this text."""
    for mark in "\"'":
        if mark not in text and not text.endswith("\\"):
            return f"{mark}{text}{mark}"
    escaped = re.sub(r'(\\*)"', r'\1\1\\"', text)
    escaped = re.sub(r"(\\+)$", r"\1\1", escaped)
    return f'"{escaped}"'
