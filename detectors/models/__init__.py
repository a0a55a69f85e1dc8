"""A detector in memory. Enters: a checkpoint, a foreign file or a factory. Leaves: `Detector`."""
