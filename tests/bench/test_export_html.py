"""The report: one file that runs and fetches nothing, with everything in it, and nothing of it believed."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from npurun_tui.bench.compare import compare_sessions
from npurun_tui.bench.exports.html import html
from npurun_tui.bench.exports.report import verdicts
from npurun_tui.bench.exports.tables import MOST_RUNS
from npurun_tui.bench.records import Session
from tests.bench import export_sessions as made

VOID = {"meta", "br", "link", "img", "input"}
KNOWN = frozenset(
    re.findall(
        r"[a-z0-9]+",
        """html head meta title style body main h1 h2 p bdi section ul li table thead tbody tr th td div figure svg
        desc text path rect details summary dl dt dd""",
    )
)
KNOWN_ATTRIBUTES = frozenset(
    re.findall(
        r"[a-z0-9-]+",
        """lang charset http-equiv content name class scope tabindex viewbox xmlns role aria-label aria-labelledby id x
        y d width height text-anchor""",
    )
)


class Page(HTMLParser):
    """What a browser would see of a page; it fails where elements are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.texts: list[tuple[str, str]] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((self._open[-1] if self._open else "", data))

    def all_of(self, tag: str) -> list[str]:
        return [text for within, text in self.texts if within == tag]

    @property
    def text(self) -> str:
        return " ".join(text for within, text in self.texts if within != "style")


def page(session: Session) -> Page:
    return Page(html(session))


@pytest.mark.parametrize("name", sorted(made.EVERY))
def test_it_is_whole_and_holds_only_what_we_wrote(name: str) -> None:
    found = page(made.EVERY[name]())
    assert set(found.tags) <= KNOWN
    assert {name for name, _ in found.attributes} <= KNOWN_ATTRIBUTES
    ids = [value for name, value in found.attributes if name == "id"]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("name", sorted(made.EVERY))
def test_the_policy_allows_the_one_style_and_nothing_else(name: str) -> None:
    text = html(made.EVERY[name]())
    styles = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(styles[0].encode()).digest()).decode()
    policy = dict(zip(*[iter(re.findall(r'="([^"]*)"', text)[:4])] * 2, strict=True))
    assert len(styles) == 1
    assert f"style-src 'sha256-{digest}'" in text
    assert "default-src 'none'" in text
    assert policy
    assert " style=" not in text
    assert "url(" not in text
    assert "@import" not in text


def test_hostile_texts_stay_texts() -> None:
    text = html(made.hostile())
    found = Page(text)
    assert "script" not in found.tags
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "\ud83d" not in text
    assert "[31m" in found.text
    for where in ("h1", "title"):
        assert where in found.tags
    shown = [data for within, data in found.texts if "<script>alert('\"x\"')</script>" in data]
    assert len(shown) > 20  # the model, prompts, faults, machine, settings, notes…
    quoted = replace(made.NPU, model='" onload="alert(1)', device="'><img src=x onerror=alert(1)>")
    found = page(made.session(made.run(0, 0.0), sides=(quoted,)))
    assert {name for name, _ in found.attributes} <= KNOWN_ATTRIBUTES
    assert "img" not in found.tags


def test_foreign_words_do_not_turn_their_neighbours() -> None:
    side = replace(made.NPU, model="\u05d0\u05d1\u05d2", device="\u200fCPU")
    text = html(made.session(made.run(0, 0.0, prompt="\u05d3\u05d4"), sides=(side,)))
    assert "<bdi>\u05d3\u05d4</bdi>" in text
    assert "\u200f" not in text


def test_everything_is_in_it() -> None:
    session = made.against_cpu()
    found = page(session)
    heads = found.all_of("h2")
    assert heads == [
        "What was found",
        "Summary",
        "Against the baseline",
        "Medians by prompt",
        "Both clocks",
        "Runs",
        "Loads",
        "Energy",
        "Machine",
        "Model",
        "Baseline",
        "Settings",
        "Notes",
    ]
    assert len(found.all_of("svg")) > 5
    for sentence in verdicts(session):
        assert sentence in found.text
    for words in ("X1E80100", "30.0.219.1000", "16.4 GB", "w4a16", "5f5f5f", "8.7 s", "cold"):
        assert words in found.text
    assert "The lid was closed" in found.text
    assert found.tags.count("svg") == 5
    assert "1.266 ± 0.081" in found.text
    assert made.SHORT in found.text


def test_without_energy_it_says_why() -> None:
    assert "no battery and no energy counter" in page(made.plain()).text


def test_what_is_not_complete_says_so_first() -> None:
    session = made.failures()
    assert verdicts(session)[0] == "Incomplete: The endpoint does not answer any more."
    text = page(session).text
    assert "failed: The connection was lost." in text
    assert text.index("Incomplete") < text.index("tok/s")


def test_a_comparison_has_its_table_and_its_words() -> None:
    old = made.plain()
    slow = tuple(
        replace(run, host=replace(run.host, decode_tps=(run.host.decode_tps or 0) * 0.9))
        for run in old.runs
    )
    found = Page(html(replace(old, runs=slow), compare_sessions(old, replace(old, runs=slow))))
    assert "Against an earlier bench" in found.all_of("h2")
    assert "−10.0 %" in found.text
    assert re.search(r"Decode, tok/s\s+14\.8\s+13\.3\s+−10\.0 %", found.text)
    assert "slower, a regression" in found.text


def test_many_runs_are_folded_and_bounded() -> None:
    assert "details" not in page(made.plain(1)).tags
    found = page(made.EVERY["thousand"]())
    assert found.tags.count("details") == 1
    assert "1,001 runs" in found.text
    many = made.session(*(replace(made.run(0, at * 5.0), repeat=at) for at in range(MOST_RUNS + 5)))
    found = page(many)
    assert "5 more are in the CSV and the JSON." in found.text
    assert found.tags.count("tr") < MOST_RUNS + 100


def test_nothing_at_all_is_a_page_too() -> None:
    found = page(made.nothing())
    assert "No run has measured anything." in found.text
    assert "svg" not in found.tags
