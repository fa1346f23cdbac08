"""Measure what the project promises about speed, one file a measure."""
