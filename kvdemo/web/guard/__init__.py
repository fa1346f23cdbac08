"""Stand around all that the server answers: who may ask for what, what cannot be read, and who listens."""
