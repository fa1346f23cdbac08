"""Have another machine decode."""
