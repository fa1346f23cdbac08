"""Stand around all that the server answers: who may ask for what, and who listens."""
