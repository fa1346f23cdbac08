"""Bring what happens in a run to its reader: on a thread, in batches, as states."""
