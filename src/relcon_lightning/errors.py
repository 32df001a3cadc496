"""The two errors of this package: a mistake in the data and a mistake in the configuration.

Both name the file, key or participant at fault, say what was expected and how to mend it. The commands print
their message without a traceback.
"""

from __future__ import annotations


class DataError(ValueError):
    """Data on disk or in a recording that cannot be used as it is."""


class ConfigError(ValueError):
    """A configuration value that cannot work, found before any work starts."""
