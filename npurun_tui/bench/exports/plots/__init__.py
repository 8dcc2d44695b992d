"""Plots as SVG, written by hand: `scales` (where a value lies), `drawing` (elements, escaped), `chart` (axes, legend),
and a file for each plot of a session.

They use classes only, whose looks stand once in `style`: in a file of its own each picture carries the stylesheet, in
the HTML report all share it.
"""
