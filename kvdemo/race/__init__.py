"""Run one race, from prompt to document: compare the texts, prove why they part, judge."""
