"""The formulas of one model's cache: of shapes, of work and of memory."""
