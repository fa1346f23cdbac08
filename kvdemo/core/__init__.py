"""Define plain data and rules: steps, events, settings, metrics, numbers as text. No torch."""
