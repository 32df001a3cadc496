"""The parts of the simulated cohort: people, their gait, motifs and their rhythm, the arm, the watch.

Angles are in degrees in definitions (motifs), and in radians in computations.
"""
