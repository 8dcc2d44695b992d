"""A client of a running server: what `run --addr`, `ps --addr` and an attached workbench stand on.

The other end may be this program's own server, the Rust `npurun serve`, or anything that speaks OpenAI's dialect. None
of them is trusted: reads are bounded, redirects are not followed, text is cleaned before it is shown.
"""
