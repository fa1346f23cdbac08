"""Strategies that keep keys and values."""
