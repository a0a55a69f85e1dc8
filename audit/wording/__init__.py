"""Numbers and verdicts in plain words: the one place that writes what a verdict says, for every output."""
