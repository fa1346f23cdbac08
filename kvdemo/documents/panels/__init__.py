"""Describe the panels of the document of Inside: a file for each file of kvdemo/inside/panels/ that computes one."""
