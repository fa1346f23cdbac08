"""Decode with keys and values that are kept."""
