"""Labelled photos. Enters: FairFace or folders on disk. Leaves: `FaceTable`, decoded photos."""
