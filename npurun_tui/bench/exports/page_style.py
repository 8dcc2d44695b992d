"""How the page around the plots looks."""

from __future__ import annotations

from typing import Final

from npurun_tui.bench.exports.plots.style import FONTS, PAPER


def _colours(kind: str) -> str:
    palette = PAPER[kind]
    names = {"paper": "paper", "ink": "ink", "quiet": "quiet", "rule": "grid"}
    values = " ".join(f"--{name}: {palette[colour]};" for name, colour in names.items())
    return f"\n:root {{ {values} }}\n"


PAGE_STYLE: Final = f"""{_colours("light")}@media (prefers-color-scheme: dark) {{{_colours("dark")}}}
body {{ margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 {FONTS}; }}
main {{ max-width: 60rem; margin: 0 auto; padding: 1rem 1.25rem 4rem; }}
h1 {{ font-size: 1.5rem; line-height: 1.25; margin: 1rem 0 0.25rem; overflow-wrap: anywhere; }}
h2 {{ font-size: 1.05rem; margin: 2rem 0 0.5rem; }}
p, li, dd {{ overflow-wrap: anywhere; }}
h1 + p, section > p, .wide + p {{ color: var(--quiet); }}
ul {{ padding-left: 1.25rem; }}
.wide {{ overflow-x: auto; }}
table {{ border-collapse: collapse; font-size: 0.85rem; font-variant-numeric: tabular-nums; }}
th, td {{ padding: 0.25rem 0.7rem 0.25rem 0; border-bottom: 1px solid var(--rule); }}
th, td {{ text-align: right; vertical-align: top; white-space: nowrap; }}
th {{ color: var(--quiet); font-weight: 600; white-space: normal; vertical-align: bottom; }}
.word {{ text-align: left; }}
td.word {{ white-space: normal; min-width: 7rem; max-width: 22rem; overflow-wrap: anywhere; }}
.plot {{ margin: 1.5rem 0; }}
.plot svg {{ display: block; width: 100%; height: auto; }}
.facts {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(17rem, 1fr)); gap: 0 2rem; }}
dl {{ display: grid; grid-template-columns: max-content 1fr; gap: 0.15rem 1rem; margin: 0; font-size: 0.9rem; }}
dt {{ color: var(--quiet); }}
dd {{ margin: 0; }}
summary {{ cursor: pointer; }}
@media print {{ body {{ font-size: 11px; }} section, .plot {{ break-inside: avoid-page; }} }}
"""
