"""Files of finished runs: checkpoints, the record of the settings, and exported encoders."""
