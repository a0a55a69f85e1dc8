"""The pairs dataset on disk. Enters: photos and a generator. Leaves: manifest, halves, provenance."""
