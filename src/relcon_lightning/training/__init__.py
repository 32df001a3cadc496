"""The training of a run: callbacks, loggers, and resuming after an interruption."""
