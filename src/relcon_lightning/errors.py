"""The errors of this package: a mistake in the data, a mistake in the configuration, a training that went astray.

They name the file, key or participant at fault, say what was expected and how to mend it. The commands print
their message without a traceback.
"""

from __future__ import annotations


class DataError(ValueError):
    """Data on disk or in a recording that cannot be used as it is."""


class ConfigError(ValueError):
    """A configuration value that cannot work, found before any work starts."""


class TrainingError(RuntimeError):
    """A training that cannot go on, such as a loss that is not a number."""


class Preempted(RuntimeError):
    """A training that was asked to end before it was done, and has saved."""
