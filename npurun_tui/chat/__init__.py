"""A conversation as a service: messages, turns, what is kept of them. The Chat tab and `run` both stand on it."""
