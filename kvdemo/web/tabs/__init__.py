"""The tabs: layout, form and events of each."""
