"""What a run leaves behind: checkpoints, the record of its settings, and exported encoders."""
