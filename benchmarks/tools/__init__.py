"""Run loops beside each other, step by step."""
