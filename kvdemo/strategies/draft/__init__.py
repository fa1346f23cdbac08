"""Draft tokens and verify them in one pass."""
