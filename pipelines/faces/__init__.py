"""Faces in photos. Enters: photos. Leaves: landmarks and aligned crops."""
