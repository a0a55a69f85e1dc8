"""Intervals, tests and sample sizes. Enters: counts. Leaves: limits, p-values, numbers of images."""
