"""Explain the page's terms, figures and strategies where they stand."""
