"""The audit in figures. Enters: an `AuditResult`. Leaves: Plotly figures, small pictures."""
