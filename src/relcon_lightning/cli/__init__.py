"""The commands: each composes its configuration, instantiates and calls."""
