"""SQLite: opening it safely (`database`) and the chats kept in it (`chats`).

Every call blocks for the length of a small disk write; callers on an event loop go through a worker thread.
"""
