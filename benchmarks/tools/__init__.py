"""Help several measures: run loops beside each other, step by step, and time the scrubber of Inside."""
