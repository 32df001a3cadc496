"""Readers of device files. They read block by block, so the memory does not depend on the length of a recording."""
