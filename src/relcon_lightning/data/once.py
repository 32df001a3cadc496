"""Log a message about many files once, for the first file that it holds for."""

from __future__ import annotations

import logging
from collections.abc import Iterable

KEY = "once"  # attribute of a log record


class Once:
    """Messages that were logged. Files that share this object do not repeat them."""

    def __init__(self) -> None:
        self._logged: set[str] = set()

    def log(self, logger: logging.Logger, level: int, key: str, message: str, *values: object) -> None:
        """Log a message, unless one with this key was logged."""
        if self._is_new(key):
            logger.log(level, message, *values, extra={KEY: key})

    def repeat(self, records: Iterable[logging.LogRecord]) -> None:
        """Log the records of another process, without those whose key was logged."""
        for record in records:
            key = getattr(record, KEY, None)
            if key is None or self._is_new(key):
                logging.getLogger(record.name).handle(record)

    def _is_new(self, key: str) -> bool:
        new = key not in self._logged
        self._logged.add(key)
        return new
