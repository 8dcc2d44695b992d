"""The engine: one model, one dialog, one permit.

`dialog` is the contract (Genie's dialog, in Python); `cpu` implements it over llama.cpp. `host` runs a
dialog in a child process, `process` speaks to that child over pipes, `remote` is the dialog as the parent
sees it, and `engine` owns all three together with the single permit. `templates` and `transcript` turn a
conversation into prompts and decide what is prefilled. Nothing here knows of HTTP or of Textual.
"""
