"""`POST /v1/responses`, stateless: a client sends the whole conversation, and nothing is stored."""
