"""What one asks after an audit: what breaks the detector, what betrays the files, what would help."""
