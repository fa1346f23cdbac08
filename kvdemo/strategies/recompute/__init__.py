"""Run the whole text again each step."""
