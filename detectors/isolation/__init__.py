"""A process in which somebody else's model file is opened and run, and which can do no harm.

Enters: the path of a foreign model, batches of images. Leaves: arrays of raw outputs, or one typed error.
`child` is what the rest of the package uses; `worker` is what runs on the other side.
"""
