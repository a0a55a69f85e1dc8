"""The audit in tables. Enters: an `AuditResult`. Leaves: `Table`s for the page and CSV files."""
