"""Say which models may be named, and what a name means."""
