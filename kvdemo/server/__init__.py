"""Serve one model to many visitors: the service behind the page."""
