"""The audit in words. Enters: an `AuditResult`. Leaves: sentences, formatted numbers, terms."""
