"""Files as wearable devices write them, read block by block: the memory does not depend on how long a recording is."""
