"""Hostile inputs for every address and every event of a running app, made from what the app itself says that it takes.

A parameter, an event or a route that is added later is attacked as those of today. `attacks.attacks` lists the inputs,
`answers.hit` sends them and tells what is wrong with their answers.
"""
