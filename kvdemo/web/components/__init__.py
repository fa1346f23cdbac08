"""Pieces that several tabs are made of."""
