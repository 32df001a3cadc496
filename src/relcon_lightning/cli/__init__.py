"""The commands. Each composes its configuration and runs it."""

import os

# Waiting OpenMP threads sleep instead of spinning, which would slow down all processes on a busy machine. OpenMP reads
# this variable when torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
