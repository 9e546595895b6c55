"""How batches, generations, topics and pages look where no widget runs: static mime bundles.

A contact sheet that survives everything a notebook goes through: saved and reopened without a
kernel, not trusted, exported, put on GitHub. So: no script, no stylesheet, only inline styles that
JupyterLab's sanitiser lets through (hexadecimal colours with alpha suit light and dark), a fixed
byte budget, small WebP thumbnails only, and every fact also as text.

The functions take frozen records and pictures as bytes; they read nothing themselves.
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial

from workbench.domain.money import amount_text
from workbench.domain.records import BatchRecord, GenerationError, GenerationRecord, TopicRecord
from workbench.domain.status import Status, generation_status_display
from workbench.workspace.markup import Html, element, join, visible

#: Most bytes of one output's HTML (a notebook with fifty of them stays below 10 MB).
MAX_BYTES = 200_000
#: Most pictures on one sheet.
MAX_CARDS = 48

_TEXT_LINES = 24
_PROMPT_CHARACTERS = 280
_MUTED = "opacity:0.72"
_QUIET = "#8080801f"  # grey with alpha: visible on white and on black
# Signs of the geometric and mathematical blocks, which every system font has; lucide comes with
# the widgets, and a sanitised output may hold no SVG.
_SIGNS: Mapping[Status, str] = {
    Status.PENDING: "◔",
    Status.QUEUED: "≡",
    Status.PROCESSING: "◑",
    Status.COMPLETED: "✓",
    Status.FAILED: "!",
    Status.CANCELLED: "×",
}
# From what is there to what will not come.
_ORDER = (
    Status.COMPLETED,
    Status.PROCESSING,
    Status.QUEUED,
    Status.PENDING,
    Status.FAILED,
    Status.CANCELLED,
)
_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (8, b"WEBP", "image/webp"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
)


#: A generation with its encoded thumbnail (or newest preview), if it has one.
Pictured = tuple[GenerationRecord, bytes | None]
#: Makes an encoded picture smaller: bytes and the longer side in pixels in, bytes out.
Shrink = Callable[[bytes, int], bytes]


def generation_bundle(
    generation: GenerationRecord, thumbnail: bytes | None = None, *, now_ms: int | None = None
) -> dict[str, str]:
    """One picture with its facts beside it.

    Parameters
    ----------
    generation:
        What is shown.
    thumbnail:
        Encoded small picture (WebP, JPEG or PNG), or the newest preview, or None.
    now_ms:
        Time that an unfinished one is stamped with (default: now).

    Returns
    -------
    dict
        ``text/plain`` and ``text/html``.

    Example
    -------
    ``generation_bundle(generation.record, generation.thumbnail().read_bytes())``
    """
    facts: list[tuple[str, object]] = [
        ("Model", _model(generation.model)),
        ("Seed", "–" if generation.seed is None else generation.seed),
        ("Size", _size(generation)),
    ]
    facts += [(str(name), value) for name, value in list(generation.params.items())[:8]]
    facts += [("Time", _duration(generation)), ("Cost", _cost([generation]))]
    facts += [("Remark", generation.detail if generation.status is Status.COMPLETED else "")]
    facts += [("Id", generation.id)]
    rows = [
        element(
            "div",
            element("span", name, style=f"{_MUTED};display:inline-block;min-width:64px"),
            element("span", visible(value, 160), dir="auto"),
        )
        for name, value in facts
        if value not in ("", None)
    ]
    card = _card(generation, thumbnail, 256, caption=False)
    table = element("div", *rows, style="display:inline-block;vertical-align:top;max-width:100%")
    page = _sheet(
        _heading(generation.prompt), None, [join([card, table])], _as_of([generation], now_ms)
    )
    return {"text/plain": _line(generation), "text/html": page}


def batch_bundle(
    batch: BatchRecord,
    pictured: Iterable[Pictured],
    *,
    shrink: Shrink | None = None,
    now_ms: int | None = None,
) -> dict[str, str]:
    """A request and what became of each of its images, as a contact sheet.

    Parameters
    ----------
    batch:
        Its record.
    pictured:
        The latest generation of each index with its thumbnail (256 px) or newest preview.
    shrink:
        Used on sheets of many pictures, so that more of them fit the byte budget.
    now_ms:
        Time that unfinished ones are stamped with (default: now).
    """
    pairs = list(pictured)
    items = [item for item, _ in pairs]
    summary = _join_facts(
        _model(batch.model),
        _size(items[0]) if len({_size(item) for item in items}) == 1 else "",
        _images(len(items)),
        _counts(items),
        _cost(items),
    )
    plain = [f"{visible(batch.prompt, 200)} · {summary}", *_lines(items, prompts=False)]
    page = _contact_sheet(
        _heading(batch.prompt), summary, pairs, prompts=False, shrink=shrink, now_ms=now_ms
    )
    return {"text/plain": "\n".join(plain), "text/html": page}


def topic_bundle(
    topic: TopicRecord,
    pictured: Iterable[Pictured],
    *,
    images: int | None = None,
    shrink: Shrink | None = None,
    now_ms: int | None = None,
    max_bytes: int = MAX_BYTES,
) -> dict[str, str]:
    """A topic by its newest images.

    Parameters
    ----------
    topic:
        Its record.
    pictured:
        The newest generations with their thumbnails, as many as are to be shown.
    images:
        How many completed images it has in all (default: not said).
    shrink, now_ms:
        As for `batch_bundle`.
    max_bytes:
        Most bytes of the HTML.
    """
    pairs = list(pictured)
    title = visible(topic.title, 200) or "Untitled topic"
    count = "" if images is None else _images(images)
    summary = _join_facts("Topic", count, f"since {_when(topic.created_at)}")
    plain = [f"{title} · {summary}", *_lines([item for item, _ in pairs])]
    page = _contact_sheet(
        _heading(title),
        summary,
        pairs,
        prompts=True,
        hidden=0 if images is None else max(0, images - len(pairs)),
        shrink=shrink,
        now_ms=now_ms,
        max_bytes=max_bytes,
    )
    return {"text/plain": "\n".join(plain), "text/html": page}


def page_bundle(
    pictured: Iterable[Pictured],
    *,
    more: bool = False,
    shrink: Shrink | None = None,
    now_ms: int | None = None,
) -> dict[str, str]:
    """A page of generations of any batch, each with its own prompt.

    `more`: whether another page follows. The other parameters are those of `batch_bundle`.
    """
    pairs = list(pictured)
    items = [item for item, _ in pairs]
    title = _images(len(items)) if items else "No images"
    summary = _join_facts(_counts(items), "more at next_cursor" if more else "")
    plain = [_join_facts(title, summary), *_lines(items)]
    page = _contact_sheet(
        _heading(title), summary, pairs, prompts=True, shrink=shrink, now_ms=now_ms
    )
    return {"text/plain": "\n".join(plain), "text/html": page}


# -- the sheet --------------------------------------------------------------------------------


def _contact_sheet(
    heading: Html,
    summary: str,
    pairs: Sequence[Pictured],
    *,
    prompts: bool,
    shrink: Shrink | None,
    now_ms: int | None,
    hidden: int = 0,
    max_bytes: int = MAX_BYTES,
) -> Html:
    height = 224 if len(pairs) <= 2 else 176 if len(pairs) <= 9 else 128
    # Said once above when it is the same for all of a request.
    sizes = prompts or len({_size(item) for item, _ in pairs}) > 1
    dress = partial(
        _card,
        height=height,
        prompt=prompts,
        size=sizes,
        params=_varied([item for item, _ in pairs]),
        paired=len(pairs) > 2,  # two side by side even in a narrow panel
    )
    stamp = _as_of([item for item, _ in pairs], now_ms)
    room = max_bytes - len(_sheet(heading, summary, [], stamp).encode()) - 400
    cards: list[Html] = []
    for item, thumbnail in pairs[:MAX_CARDS]:
        picture = thumbnail
        if picture is not None and shrink is not None and len(pairs) > 9:
            picture = shrink(picture, 128)
        card = dress(item, picture)
        if len(card.encode()) > room and not cards:
            card = dress(item, None)
        room -= len(card.encode())
        if room < 0:
            break
        cards.append(card)
    rest = len(pairs) - len(cards) + hidden
    if rest:
        note = f"… and {rest} more" if cards else _images(rest)
        cards.append(element("div", note, style=f"{_MUTED};margin:0 0 8px 0"))
    return _sheet(heading, summary, cards, stamp)


def _sheet(heading: Html, summary: str | None, cards: Sequence[Html], stamp: Html | None) -> Html:
    under = element("div", summary, style=f"{_MUTED};margin:2px 0 8px 0") if summary else None
    return element(
        "div",
        heading,
        under,
        *cards,
        stamp,
        # Both names of the class that switches mathematics off (MathJax 2 and 3).
        **{"class": "tex2jax_ignore mathjax_ignore"},
        style="font-size:13px;line-height:1.45;padding:4px 0 0 0;max-width:1100px",
    )


def _heading(text: str) -> Html:
    shown = visible(text, _PROMPT_CHARACTERS) or "(no prompt)"
    style = "font-weight:600;overflow-wrap:break-word;margin:0 0 2px 0;max-width:840px"
    return element("div", shown, dir="auto", style=style)


def _as_of(items: Sequence[GenerationRecord], now_ms: int | None) -> Html | None:
    if all(item.status.is_terminal for item in items):
        return None
    at = datetime.now(UTC) if now_ms is None else datetime.fromtimestamp(now_ms / 1000, UTC)
    note = f"As it was at {at:%H:%M:%S} UTC. Show it again to see how it went on."
    return element("div", note, style=f"{_MUTED};margin:0 0 4px 0")


def _card(
    item: GenerationRecord,
    picture: bytes | None,
    height: int,
    *,
    prompt: bool = False,
    caption: bool = True,
    size: bool = True,
    params: Sequence[str] = (),
    paired: bool = False,
) -> Html:
    width = _card_width(item, height)
    mime = _mime(picture)
    words = "font-size:12px;overflow-wrap:anywhere"
    small = f"{_MUTED};font-size:11px;overflow-wrap:anywhere"
    below: list[Html] = []
    if picture is None or mime is None:
        top = _placeholder(item, width, height)
    elif item.status is Status.COMPLETED:
        top = _image(item, picture, mime, width)
    elif item.status is Status.PROCESSING:
        top = _image(item, picture, mime, width, unfinished=True)
        below += _progress(item)
    else:
        top = _placeholder(item, width, height)
    if prompt:
        below.append(element("div", visible(item.prompt, 90), dir="auto", style=words))
    if caption:
        below.append(element("div", _caption(item, size=size, params=params), style=small))
    if caption and item.status is Status.COMPLETED and item.detail:
        below.append(element("div", visible(item.detail, 90), dir="auto", style=small))
    return element(
        "div",
        top,
        *below,
        style=f"display:inline-block;vertical-align:top;width:{width}px;"
        f"max-width:{'47%' if paired else '100%'};margin:0 8px 12px 0",
    )


def _image(
    item: GenerationRecord, picture: bytes, mime: str, width: int, *, unfinished: bool = False
) -> Html:
    fade = ";opacity:0.8" if unfinished else ""
    return element(
        "img",
        src=f"data:{mime};base64,{base64.b64encode(picture).decode()}",
        alt=visible(item.prompt, 120) or f"Image {item.index}",
        title=_badge(item.status),
        width=width,
        style=f"display:block;width:{width}px;max-width:100%;height:auto;border-radius:6px;"
        f"margin:0 0 3px 0{fade}",
    )


def _placeholder(item: GenerationRecord, width: int, height: int) -> Html:
    color = generation_status_display(item.status)["color"]
    lines: list[Html] = []
    if item.status is Status.PROCESSING:
        lines += _progress(item)
    else:
        lines.append(element("div", _badge(item.status), style="font-weight:600"))
        if item.status is Status.COMPLETED:
            lines.append(element("div", "The picture is not in this output."))
        elif item.detail:
            lines.append(element("div", visible(item.detail, 160), dir="auto"))
    if item.error is not None:
        lines.append(element("div", visible(_error(item.error), 320), dir="auto"))
    return element(
        "div",
        *lines,
        style=f"box-sizing:border-box;width:{width}px;max-width:100%;min-height:{height}px;"
        f"padding:10px 12px;margin:0 0 3px 0;border-radius:6px;border:1px solid {color}80;"
        f"background-color:{color}1f;font-size:12px;overflow:hidden;overflow-wrap:break-word",
    )


def _progress(item: GenerationRecord) -> list[Html]:
    color = generation_status_display(item.status)["color"]
    percent = round(100 * min(1.0, max(0.0, item.progress)))
    bar = f"width:{percent}%;height:4px;border-radius:2px;background-color:{color}"
    track = f"height:4px;border-radius:2px;background-color:{_QUIET};margin:3px 0 3px 0"
    said = _join_facts(_badge(item.status), f"{percent} %")
    return [
        element("div", element("div", style=bar), style=track),
        element("div", said, style="font-weight:600;font-size:12px"),
        element("div", visible(item.detail, 160), dir="auto", style="font-size:12px"),
    ]


def _card_width(item: GenerationRecord, height: int) -> int:
    if not item.width or not item.height:
        return height
    # The thumbnail's longer side is 256 px; a strip of any length must leave room for words.
    width = round(height * item.width / item.height)
    return max(112, min(width, round(height * 16 / 9)))


def _mime(picture: bytes | None) -> str | None:
    if picture is not None:
        for offset, magic, mime in _MAGIC:
            if picture[offset : offset + len(magic)] == magic:
                return mime
    return None


# -- words ------------------------------------------------------------------------------------


def _badge(status: Status) -> str:
    return f"{_SIGNS[status]} {generation_status_display(status)['label']}"


def _caption(item: GenerationRecord, *, size: bool = True, params: Sequence[str] = ()) -> str:
    seed = "" if item.seed is None else f"seed {item.seed}"
    set_to = [f"{name} {visible(item.params[name], 24)}" for name in params if name in item.params]
    return _join_facts(seed, *set_to, _size(item) if size else "", _duration(item))


def _varied(items: Sequence[GenerationRecord]) -> list[str]:
    """Names of the parameters in which the pictures of a sheet differ, two at most."""
    names = {name for item in items for name in item.params}
    differ = [name for name in names if len({repr(item.params.get(name)) for item in items}) > 1]
    return sorted(name for name in differ if len(name) <= 24)[:2]


def _error(error: GenerationError) -> str:
    sentence = error.message if error.message.endswith((".", "!", "?")) else f"{error.message}."
    return f"{sentence} {'It was charged.' if error.charged else 'Not charged.'}"


def _line(item: GenerationRecord, *, prompt: bool = True) -> str:
    state = item.status.value
    if item.status is Status.PROCESSING:
        state += f" {round(100 * item.progress)} %"
    said = _error(item.error) if item.error is not None else item.detail
    facts = _join_facts(state, _caption(item), _cost([item]), visible(said, 200))
    name = visible(item.prompt, 60) if prompt else f"#{item.index}"
    return f"{name} · {facts}"


def _lines(items: Sequence[GenerationRecord], *, prompts: bool = True) -> list[str]:
    shown = [f"  {_line(item, prompt=prompts)}" for item in items[:_TEXT_LINES]]
    rest = len(items) - len(shown)
    return [*shown, f"  … and {rest} more"] if rest else shown


def _join_facts(*facts: str) -> str:
    return " · ".join(fact for fact in facts if fact)


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count} images"


def _counts(items: Sequence[GenerationRecord]) -> str:
    counts = Counter(item.status for item in items)
    if len(counts) == 1:
        return next(iter(counts)).value
    return ", ".join(f"{counts[status]} {status.value}" for status in _ORDER if counts[status])


def _model(model: str | None) -> str:
    return visible((model or "").partition(":")[2] or model or "imported", 60)


def _size(item: GenerationRecord) -> str:
    return f"{item.width} × {item.height}" if item.width and item.height else ""


def _duration(item: GenerationRecord) -> str:
    seconds = item.duration_s
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60} s"


def _cost(items: Sequence[GenerationRecord]) -> str:
    sums: Counter[str] = Counter()
    for item in items:
        if item.cost_micro and item.unit:
            sums[item.unit] += item.cost_micro
    return " + ".join(_amount(micro, unit) for unit, micro in sorted(sums.items()))


def _amount(micro: int, unit: str) -> str:
    return amount_text(micro, visible(unit, 12))


def _when(milliseconds: int) -> str:
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d}"
