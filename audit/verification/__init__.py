"""Proofs about a run. Enters: a run folder. Leaves: checks of it, a signature over it, what was installed."""
