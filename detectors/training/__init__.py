"""Training of detectors. Enters: `LabelledImages` and settings. Leaves: a checkpoint and its record."""
