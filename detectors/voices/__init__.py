"""Speaker verifiers: two clips in, one score out, higher = more likely the same speaker.

Enters: a trials folder. Leaves: a trained verifier (`.pt`), and a table of scores, one row a trial.
"""
