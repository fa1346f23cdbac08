"""Lay out the tabs, and define the form and the events of each."""
