"""Declare what can be asked for, each setting once, and read what a form, a URL or a program sent."""
