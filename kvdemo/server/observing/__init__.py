"""Look on at runs for the operator: one line in the log for each, and counts for Prometheus."""
