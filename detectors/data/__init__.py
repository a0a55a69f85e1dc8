"""Labelled images, read. Enters: files, folders, tables. Leaves: `LabelledImages`, pixel batches."""
