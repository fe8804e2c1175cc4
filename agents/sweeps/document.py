"""A document of headings, sentences, tables and pictures, as Markdown and as one HTML page without other files."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Heading:
    """The title of a section."""

    text: str


@dataclass(frozen=True, slots=True)
class Points:
    """Sentences, one a line."""

    sentences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells under the names of their columns, of text as it is shown."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """A PNG file that lies beside the document, and what it shows."""

    path: Path
    caption: str


Block = Heading | Points | Table | Picture

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1d2530; background: #fff; max-width: 62rem; margin: 2rem auto;
       padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
.table { overflow-x: auto; } table { border-collapse: collapse; font-size: .9rem; }
th, td { padding: .3rem .8rem .3rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid #dde2e8; }
td { font-variant-numeric: tabular-nums; }
figure { margin: 1.2rem 0; } img { max-width: 100%; height: auto; } figcaption { color: #566070; font-size: .9rem; }
"""


def to_markdown(title: str, blocks: Sequence[Block]) -> str:
    """Returns the document as Markdown; pictures are named by their file names."""
    return "\n\n".join([f"# {title}", *(_markdown(block) for block in blocks)]) + "\n"


def _markdown(block: Block) -> str:
    match block:
        case Heading(text):
            return f"## {text}"
        case Points(sentences):
            return "\n".join(f"- {sentence}" for sentence in sentences)
        case Table(columns, rows):
            lines = [columns, tuple("---" for _ in columns), *rows]
            return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
        case Picture(path, caption):
            return f"![{path.stem}]({path.name})\n\n{caption}"


def to_html(title: str, blocks: Sequence[Block]) -> str:
    """Returns the document as one HTML page, pictures and all."""
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style>'
    meta = '<meta name="viewport" content="width=device-width, initial-scale=1">'
    body = "\n".join([f"<h1>{escape(title)}</h1>", *(line for block in blocks for line in _html(block))])
    page = f'<html lang="en">\n<head>{head}{meta}</head>\n<body>\n{body}\n</body>\n</html>'
    return f"<!doctype html>\n{page}\n"


def _html(block: Block) -> Iterator[str]:
    match block:
        case Heading(text):
            yield f"<h2>{escape(text)}</h2>"
        case Points(sentences):
            yield "<ul>" + "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences) + "</ul>"
        case Table(columns, rows):
            yield '<div class="table"><table>'
            yield "<tr>" + "".join(f"<th>{escape(cell)}</th>" for cell in columns) + "</tr>"
            yield from ("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
            yield "</table></div>"
        case Picture(path, caption):
            data = base64.b64encode(path.read_bytes()).decode("ascii")
            yield f'<figure><img src="data:image/png;base64,{data}" alt="{escape(path.stem)}">'
            yield f"<figcaption>{escape(caption)}</figcaption></figure>"
