"""The records that are written and read back. Enters: numbers. Leaves: pydantic models, JSON, its schema."""
