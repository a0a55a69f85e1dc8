"""Whole audits. Enters: a score table or a detector and images. Leaves: a run folder, a comparison."""
