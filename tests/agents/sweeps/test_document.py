"""A document as Markdown and as HTML."""

from __future__ import annotations

import base64
from html.parser import HTMLParser
from pathlib import Path

import pytest

from mvr_agents.sweeps.document import Block, Heading, Picture, Points, Table, to_html, to_markdown


@pytest.fixture
def blocks(tmp_path: Path) -> list[Block]:
    (tmp_path / "curve.png").write_bytes(b"no real picture")
    table = Table(("arm", "score"), (("a|b", "<1>"),))
    return [Heading("Scores"), Points(("one & two",)), table, Picture(tmp_path / "curve.png", "a curve")]


def test_markdown(blocks: list[Block]) -> None:
    assert to_markdown("Runs", blocks) == (
        "# Runs\n\n## Scores\n\n- one & two\n\n| arm | score |\n| --- | --- |\n| a\\|b | <1> |\n\n"
        "![curve](curve.png)\n\na curve\n"
    )


def test_html_holds_its_pictures_and_escapes_text(blocks: list[Block]) -> None:
    page = to_html("Runs", blocks)
    assert "<li>one &amp; two</li>" in page and "<td>&lt;1&gt;</td>" in page and "<h1>Runs</h1>" in page
    data = base64.b64encode(b"no real picture").decode()
    assert f'src="data:image/png;base64,{data}"' in page


def test_html_is_well_formed_and_needs_no_other_file(blocks: list[Block]) -> None:
    opened: list[str] = []

    class Parser(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            if tag not in ("meta", "img"):
                opened.append(tag)
            for name, value in attrs:
                assert name not in ("href", "src") or (value or "").startswith("data:")

        def handle_endtag(self, tag: str) -> None:
            assert opened.pop() == tag

    page = to_html("Runs", blocks)
    Parser().feed(page)
    assert not opened and "://" not in page and "@import" not in page
