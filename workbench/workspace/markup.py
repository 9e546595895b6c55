r"""HTML without string formatting: elements whose children and attributes are always escaped.

The one escaper of every static display. What people and providers wrote (prompts, titles, errors)
can neither become markup nor hide anything: control characters, terminal escapes and characters
that reorder or hide text are written out, and a dollar sign starts no formula.

>>> element("b", "1 < 2 \x1b[31m", style="margin:0")
'<b style="margin:0">1 &lt; 2 ␛[31m</b>'
"""

from __future__ import annotations

import html
import unicodedata

# Combining marks beyond this many on one letter climb over their neighbours ("zalgo").
_MAX_MARKS = 3
_VOID = frozenset({"img", "br", "hr"})
# They join letters in Persian, Indic scripts and emoji: harmless, and wrong to take away.
_JOINERS = frozenset("\u200c\u200d")
_DROPPED = frozenset("\u00ad")  # soft hyphen: a hint to the typesetter that is not seen anyway
_SPACES = frozenset("Z")  # first letter of the categories of spaces and line separators


class Html(str):
    """A piece of finished HTML. Only `element` and `join` make it, so all in it is escaped."""

    __slots__ = ()


def visible(text: object, limit: int = 10_000) -> str:
    r"""Return `text` as one line in which every character can be seen, at most `limit` characters.

    Line breaks and tabs become spaces; control characters become their pictures or code points;
    characters that turn the direction of writing or have no width become code points.

    >>> visible("one\n two \u202egnp.exe \x1b[31m", 40)
    'one two ⟨U+202E⟩gnp.exe ␛[31m'
    >>> visible("a red fox in the snow", 9)
    'a red fo…'
    """
    # Enough to fill the limit, and no work on the rest of a megabyte.
    raw = " ".join(str(text)[: 4 * limit + 64].split())
    if raw.isascii() and raw.isprintable():
        return raw if len(raw) <= limit else raw[: limit - 1].rstrip() + "…"
    shown: list[str] = []
    length = 0
    marks = 0
    for character in raw:
        piece = _shown(character)
        marks = marks + 1 if unicodedata.combining(character) else 0
        if marks > _MAX_MARKS:
            continue
        shown.append(piece)
        length += len(piece)
        if length > limit:
            break
    line = "".join(shown)
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def _shown(character: str) -> str:
    category = unicodedata.category(character)
    if category[0] != "C" and category[0] not in _SPACES:
        return character
    if category[0] in _SPACES:
        return " "
    if character in _JOINERS or category == "Co":
        return character
    if character in _DROPPED:
        return ""
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)  # ␛ and its family
    if code == 0x7F:
        return "\u2421"
    return f"⟨U+{code:04X}⟩"


def escape(text: object, limit: int = 10_000) -> Html:
    """Return `text` as HTML text: visible, without markup, and without mathematics.

    >>> escape("<img src=x onerror=alert(1)>")
    '&lt;img src=x onerror=alert(1)&gt;'
    """
    escaped = html.escape(visible(text, limit), quote=True)
    # JupyterLab typesets $…$, \(…\) and \begin{…} in HTML, but never across elements.
    for opener in ("$", "\\"):
        escaped = escaped.replace(opener, f"<span>{opener}</span>")
    return Html(escaped)


def element(name: str, /, *children: object, **attributes: object) -> Html:
    """Return an element. Children that are not `Html` are escaped, attributes always are.

    An attribute or child that is None is left out.
    """
    inside = "".join(
        child if isinstance(child, Html) else escape(child)
        for child in children
        if child is not None
    )
    written = "".join(
        f' {key}="{html.escape(visible(value, 1_000_000), quote=True)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Html(f"<{name}{written}>")
    return Html(f"<{name}{written}>{inside}</{name}>")


def join(pieces: list[Html] | tuple[Html, ...]) -> Html:
    """Return pieces of finished HTML one after the other."""
    return Html("".join(pieces))
