"""Run the engine in a process of its own, so that the page answers while a step runs, and outlives a killed engine.

The page's process has the `Backend` that the page asks (`backend`). It starts the engine's process and starts it again
(`client`), also where it does not answer any more (`link`). That process makes a `Service` and answers for it
(`__main__`, `serve`), and ends itself when a run hangs (`watchdog`). Between them goes what `messages` defines: calls,
and generators that are drawn from one item at a time.
"""
