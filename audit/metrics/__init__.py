"""Rates, disparities and curves. Enters: counts or sorted scores. Leaves: estimates with intervals."""
