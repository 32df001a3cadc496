"""Put the options of a command line before the overrides, because Hydra takes no overrides after an option."""

from __future__ import annotations

from collections.abc import Sequence

_WITH_VALUE = frozenset(
    ("--config-dir", "-cd", "--config-path", "-cp", "--config-name", "-cn", "--cfg", "-c", "--package", "-p")
)


def options_first(words: Sequence[str]) -> list[str]:
    """Options and their values, then overrides, each in their order.

    Args:
        words: Arguments on the command line.
    """
    options, overrides, value = list[str](), list[str](), False
    for word in words:
        is_override = not value and not word.startswith("-") and ("=" in word or word.startswith("~"))
        (overrides if is_override else options).append(word)
        value = not value and word in _WITH_VALUE
    return [*options, *overrides]
