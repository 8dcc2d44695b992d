"""Markdown that an issue shows as it was meant, whatever the texts in it are."""

from __future__ import annotations

import re

import pytest

from npurun_tui.bench.compare import compare_sessions
from npurun_tui.bench.exports.markdown import code, escaped, markdown
from npurun_tui.bench.statistics import summaries
from tests.bench import export_sessions as made


def tables(text: str) -> dict[str, list[list[str]]]:
    """Cells by title, parted where a forge parts them: at pipes that are not escaped."""
    found: dict[str, list[list[str]]] = {}
    for title, body in re.findall(r"\*\*([^*]+)\*\*\n\n((?:\|.*\n)+)", text):
        lines = body.strip().splitlines()
        found[title] = [
            [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines
        ]
    return found


@pytest.mark.parametrize("name", sorted(made.EVERY))
def test_every_row_has_its_columns(name: str) -> None:
    found = tables(markdown(made.EVERY[name]()))
    assert found or name == "nothing"
    for rows in found.values():
        assert len({len(row) for row in rows}) == 1
        assert all(re.fullmatch(r"-+:?", cell) for cell in rows[1])


def test_what_an_issue_needs() -> None:
    text = markdown(made.against_cpu())
    assert text.startswith("### Bench of `qwen3-4b-2507 · NPU (Genie 1.21.0)`\n")
    assert "- processor: `Snapdragon(R) X 12-core X1E80100 @ 3.40 GHz`" in text
    assert "- quantisation: `w4a16`" in text
    found = tables(text)
    summary = found["Summary"]
    assert summary[0][:4] == ["side", "figure", "runs", "p50"]
    assert summary[3][1:4] == ["Decode, tok/s", "20", "14.8"]
    prompts = found["Medians by prompt"]
    assert [row[0] for row in prompts[2:]] == ["`joke`", "`matmul`", "`local`", "`number`"]
    assert prompts[0].index("baseline Decode tok/s") == 8
    speedup = {row[0]: row for row in found["Against the baseline"]}
    ratio, least, most = (float(cell.removesuffix(" ×")) for cell in speedup["Decode, tok/s"][3:6])
    assert 2.2 < least < ratio < most < 2.6
    assert [speedup[name][7] for name in ("Decode, tok/s", "TTFT, ms")] == ["faster", "faster"]
    assert speedup["Decode, tok/s"][1:3] == ["14.8", "6.19"]
    assert "1.266 ± 0.081" in found["Energy"][2]


def test_without_a_baseline_nothing_speaks_of_one() -> None:
    text = markdown(made.plain())
    assert "aseline" not in text
    assert tables(text)["Summary"][0][0] == "figure"


def test_a_comparison_is_in_it() -> None:
    old, new = made.plain(5), made.plain(6)
    found = tables(markdown(new, compare_sessions(old, new)))
    rows = {row[0]: row for row in found["Against an earlier bench"]}
    decode = rows["Decode, tok/s"]
    assert decode[7] == "no difference"
    medians = [summaries(each)["decode_tps"] for each in (old, new)]
    assert decode[1:3] == [f"{median.p50:.1f}" for median in medians if median]
    assert re.fullmatch(r"[+−]?\d+\.\d %", decode[3])


def test_prompts_that_differ_in_window_are_told_apart() -> None:
    prompts = tables(markdown(made.EVERY["windows"]()))["Medians by prompt"]
    assert prompts[0][1] == "window"
    assert {row[1] for row in prompts[2:]} == {"512", "1,024", "4,096"}


def test_hostile_texts_are_code() -> None:
    text = markdown(made.hostile())
    assert "\x1b" not in text
    assert "\u202e" not in text
    outside = re.sub(r"(`+)(?!`).+?(?<!`)\1(?!`)", "", text)
    assert "<script" not in outside.replace("\\<", "")
    assert not re.search(r"(?<!\\)[`<>]", outside)
    assert not re.search(r"@\w", outside)
    assert len({len(row) for row in tables(text)["Medians by prompt"]}) == 1


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("joke", "`joke`"),
        ("a|b\nc", "`a\\|b c`"),
        ("`x`", "`` `x` ``"),
        ("a``b", "```a``b```"),
        ("", "–"),
        (" \n ", "–"),
        ("x" * 500, f"`{'x' * 119}…`"),
    ],
)
def test_code_spans(text: str, shown: str) -> None:
    assert code(text) == shown


def test_sentences_read_as_they_are() -> None:
    assert escaped("a_b *c* [d](e) <f> | `g` #1 & \\") == (
        "a\\_b \\*c\\* \\[d\\](e) \\<f\\> \\| \\`g\\` \\#1 \\& \\\\"
    )
    assert escaped("@all") == "@\u200ball"


def test_what_is_missing_is_said() -> None:
    text = markdown(made.failures())
    assert "- Incomplete: The endpoint does not answer any more." in text
    assert "Energy: not measurable here" in text
