"""Tables and texts of the page."""

from collections.abc import Sequence
from html import escape
from typing import Any


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table; a number is shown with two digits, and keeps its full value in ``data``."""
    first = ''.join(f'<th>{escape(text)}</th>' for text in head)
    body = ''.join(f'<tr>{"".join(f"<td>{cell(value)}</td>" for value in row)}</tr>' for row in rows)
    return f'<div class="wide"><table><thead><tr>{first}</tr></thead><tbody>{body}</tbody></table></div>'


def cell(value: Any) -> str:
    """A value in a table."""
    if isinstance(value, float):
        return f'<data value="{value!r}">{value:.2f}</data>'
    return '' if value is None else escape(str(value))


def folded(title: str, text: str) -> str:
    """A text that opens on a click."""
    return folded_content(title, f'<pre>{escape(text)}</pre>')


def folded_content(title: str, content: str) -> str:
    """A piece of the page that opens on a click."""
    return f'<details><summary>{escape(title)}</summary>{content}</details>'
