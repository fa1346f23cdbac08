"""Find, load and hold a model, and ask it: files, facts, text, forward passes."""
