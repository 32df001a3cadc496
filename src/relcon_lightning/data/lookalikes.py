"""Find names that people write in several ways, such as 01 and 1, or Walk and walk."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable

log = logging.getLogger(__name__)

_NAMED = 5  # groups of names in a message


def name_lookalikes(names: Iterable[str], kind: str, where: str) -> None:
    """Log names that differ only in case, blanks or leading zeros, because they count as different names.

    Args:
        names: Names of participants or classes.
        kind: What they name, in the plural, for the message.
        where: Name of the cohort, for the message.
    """
    groups: dict[str, list[str]] = {}
    for name in sorted(set(names)):
        key = re.sub(r"(?<!\d)0+(?=\d)", "", " ".join(name.split()).casefold())
        groups.setdefault(key, []).append(name)
    alike = [" and ".join(map(repr, own)) for own in groups.values() if len(own) > 1]
    if alike:
        some = "; ".join(alike[:_NAMED]) + ("; ..." if len(alike) > _NAMED else "")
        log.warning("%s: %s count as different %s. If they are the same, write them in one way.", where, some, kind)
