"""Strategies that run the whole text again each step."""
