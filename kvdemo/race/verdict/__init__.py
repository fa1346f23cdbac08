"""Find what a race showed, put it in order, and write it as sentences."""
