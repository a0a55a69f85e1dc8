"""Clips of voices: read, checked, brought to one form, and put together to trials.

Enters: a folder or table of clips with speaker and labels. Leaves: a trials folder (`clips.parquet`,
`trials.parquet`, `provenance.json`), and windows of sound for a verifier.
"""
