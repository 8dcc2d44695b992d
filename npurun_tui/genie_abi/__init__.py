"""Genie's C interface over the CPU dialog: a shared library that any Genie program can load on a machine without the
NPU.

`build` compiles it with cffi's embedding, `exports` is what C calls, one module for each family of functions stands
behind it, `registry` gives out the handles. Nothing of the program imports this package but the command that builds
the library: it is imported by the library itself, inside whatever process has loaded it.
"""
