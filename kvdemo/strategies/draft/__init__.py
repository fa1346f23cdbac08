"""Strategies that draft tokens and verify them in one pass."""
