"""Measuring: what is to be measured (`plan`, `prompts`), on what (`target` and what implements it), how it goes
(`runner`), what was loaded meanwhile (`energy`), what the figures mean (`statistics`, `compare`), and how they are kept
and handed on (`records`, `history`, the exports).

Nothing here knows Textual: the Bench tab and the command `bench` hear the same events.
"""
