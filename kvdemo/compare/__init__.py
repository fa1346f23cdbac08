"""Compare two documents of races or measurements."""
