"""Answer what a page asks without a run: lists, plans, comparisons, a token's candidates."""
