"""Read what classes state about themselves from their sources, without importing them. Standard library only."""
