"""Sources of recordings: one module per public data set or file format, for ``relcon-prepare data=...``."""
