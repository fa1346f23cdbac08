"""Calculate costs by formula: cache bytes, floating-point operations, floors, what fits on a machine. No torch."""
