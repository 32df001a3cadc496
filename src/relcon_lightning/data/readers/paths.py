"""Who was recorded, from the path of a file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from relcon_lightning.errors import ConfigError, DataError


def participant_in(expression: str, file: str, root: Path) -> str:
    """The first group of a regular expression, or all of it if it has none, searched in a file's path below ``root``.

    Raises:
        ConfigError: It is not a regular expression.
        DataError: It finds nothing; names the file.
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
