"""Cures. Enters: a score table and the threshold in use. Leaves: one cure chosen on one part, judged on
another.
"""
