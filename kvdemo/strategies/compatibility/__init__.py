"""Try on a model whether a strategy can run on it."""
