"""The transcript: a whole conversation in one widget.

`blocks` and `scanner` cut growing Markdown into pieces that are parsed once; `render` (with `walker`, `inline`,
`table`, `code`, `wrapping`, `lines`) turns a piece into lines at a width; `message` and `document` know where every
line of every message is without rendering the ones that nobody sees; `palette`, `strips` and `view` draw that in
Textual. Only the last three know Textual.
"""
