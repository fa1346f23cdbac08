"""Run lanes on a device: turns, clock, history, environment."""
