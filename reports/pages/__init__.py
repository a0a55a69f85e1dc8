"""Finished documents. Enters: a run folder. Leaves: HTML, PDF, a model card."""
