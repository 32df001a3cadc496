"""Find the participant in the path of a file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from relcon_lightning.errors import ConfigError, DataError


def participant_in(expression: str, file: str, root: Path) -> str:
    """Search a regular expression in a file's path below ``root``; returns its first group, or the whole match.

    Raises:
        ConfigError: The expression is invalid.
        DataError: The expression does not match. The message names the file.
    """
    if not isinstance(expression, str):  # [a-z] without quotes is a list for Hydra
        meant = f"[{','.join(map(str, expression))}]" if isinstance(expression, Sequence) else str(expression)
        raise ConfigError(f"Quote the regular expression: 'data.source.participant=\"{meant}\"'.")
    try:
        match = re.search(expression, file)
    except re.error as error:
        raise ConfigError(f"data.source.participant={expression} is not a regular expression: {error}.") from error
    person = (match[1] if match.re.groups else match[0]) if match else None
    if not person:
        raise DataError(f"{root / file}: data.source.participant={expression} finds no participant in {file!r}.")
    return person
