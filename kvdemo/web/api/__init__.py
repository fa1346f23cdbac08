"""Offer runs and lists to programs: endpoints with names, and tools of the Model Context Protocol."""
