"""A strategy that another machine runs."""
