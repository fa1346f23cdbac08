"""Calculate figures from timed steps and from texts, and write numbers for sentences."""
