"""Scores for images. Enters: a `Detector` and `LabelledImages`. Leaves: a score table."""
