"""SQLite: opening it safely (`database`), and what is kept in it: `chats`, `requests` to the server, `benches`.

Every call blocks for the length of a small disk write; callers on an event loop go through a worker thread.
"""
