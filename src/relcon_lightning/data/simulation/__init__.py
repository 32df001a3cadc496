"""The parts of the simulated cohort: people, their gait, motifs and their rhythm, the arm, the watch.

Angles are in degrees where they are written down (motifs) and in radians where they are computed with.
"""
