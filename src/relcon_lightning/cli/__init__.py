"""The commands. Each composes its configuration and runs it."""

import os

# Threads of OpenMP that wait for work go to sleep in place of spinning, which slows every other process on a busy
# machine down, and this one with it. OpenMP reads it when torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
