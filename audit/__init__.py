"""Count, test, judge."""
