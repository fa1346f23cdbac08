"""Run the engine in a process of its own, so that the page answers while a step runs, and outlives a killed engine.

The page's process has the `Backend` that the page asks (`backend`). It starts the engine's process, watches it and
starts it again (`engine`). That process makes a `Service` and answers for it (`__main__`, `answers`). Between them goes
what `messages` defines: calls, and generators that are drawn from one item at a time.
"""
