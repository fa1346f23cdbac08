"""Follow several texts."""
