"""Show what the audit found."""
