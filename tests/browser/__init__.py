"""A real Chromium on the real app: what a visitor does, and what a visitor must never see."""
