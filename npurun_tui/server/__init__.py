"""The HTTP server: OpenAI's, Anthropic's and Ollama's dialects over the one engine, for programs on this machine or,
with a token, on others.

A request passes the hardened protocol (`protocol`), the guard (`guard`: Host, Origin, limits, token), a dialect's route
(`openai/`, `anthropic/`, `ollama/`), which turns it into an `Ask`, and `inference`, which waits for the permit and
yields the answer's events. Every request leaves one record in the request log. Nothing here knows of Textual, and
nothing is imported before a server is started.
"""
