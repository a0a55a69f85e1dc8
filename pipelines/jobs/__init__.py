"""Whole runs of pair generation and import. Enters: options. Leaves: a finished pairs dataset."""
