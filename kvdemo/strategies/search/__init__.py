"""Strategies that follow several texts."""
