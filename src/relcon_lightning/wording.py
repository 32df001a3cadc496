"""Grammar of messages: numbers with their nouns."""

from __future__ import annotations


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """A number with its noun: ``1 run``, ``2 runs``, ``1,000 runs``.

    Args:
        count: The number.
        noun: The noun in the singular.
        plural: The noun in the plural; None: with an "s".
    """
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"
