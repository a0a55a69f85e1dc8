"""Labelled photos to matched real/fake pairs."""
