"""Write what was measured: the document, its tables, and published figures beside them."""
