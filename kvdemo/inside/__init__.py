"""Show what a model computes and keeps for one text.

`session` computes the panels that were asked for, one after the other, and builds the document. Each file of `panels`
is one panel. Nothing here is timed: the figures are tensors, differences and counts.
"""
