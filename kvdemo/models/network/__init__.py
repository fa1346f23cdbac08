"""Run a network: one forward pass, its attention, its cache argument, its hidden states."""
