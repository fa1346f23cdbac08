"""Costs by formula, standard library only: cache bytes, floating-point operations, floors, what fits on a machine."""
