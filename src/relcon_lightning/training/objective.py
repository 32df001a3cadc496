"""The metric by which the checkpoints of a run and the jobs of a sweep are compared."""

from __future__ import annotations

import re

from relcon_lightning.errors import ConfigError

_DIRECTIONS = {
    "minimize": r"loss(_\w+)?|alignment|uniformity",
    "maximize": r"(\w+_)?f1|average_precision|accuracy(_\w+)?|diversity",
}


def direction_of(metric: str) -> str | None:
    """``minimize`` or ``maximize``, for the metrics that this package logs; None for others."""
    for direction, pattern in _DIRECTIONS.items():
        if re.fullmatch(pattern, metric.partition("/")[2]):
            return direction
    return None


def check_direction(direction: str | None) -> None:
    """Check the value of ``objective_direction``.

    Raises:
        ConfigError: It is not ``minimize``, ``maximize`` or None.
    """
    if direction not in (None, "minimize", "maximize"):
        raise ConfigError(f"objective_direction={direction}: expected minimize, maximize or null.")
