"""Reading a prompt: which things, colours, numbers and moods its words name."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace
from functools import lru_cache

from workbench.providers.sketch.streams import hash_number
from workbench.providers.sketch.vocabulary import NEGATIONS, STOP_WORDS, TABLE, Entry

MOST_CHARACTERS = 10_000
MOST_THINGS = 24
_TOKEN = re.compile(r"[^\W_]+|[^\w\s]", re.UNICODE)
_BREAKS = frozenset(",.;:!?()[]{}|/\\\n")


@dataclass(frozen=True)
class Thing:
    """One thing the prompt names, with what the prompt says about it.

    ``count`` 0 means that the prompt names no number; ``size`` is -1 small, 0, or 1 big;
    ``colour`` and ``eyes`` are keys of ``vocabulary.COLOURS`` or empty.
    """

    key: str
    kind: str
    count: int = 0
    colour: str = ""
    size: int = 0
    eyes: str = ""


@dataclass(frozen=True)
class Understanding:
    """What the painter reads in a prompt.

    ``understood`` and ``not_understood`` are the words of the prompt, in order and each once.
    ``elements`` are the things to paint, ``removed`` the keys that must not appear,
    ``palette`` the colours named without a thing, ``salt`` a number made of the unknown words
    (0 if there are none), which changes the picture a little.
    """

    understood: tuple[str, ...] = ()
    not_understood: tuple[str, ...] = ()
    elements: tuple[Thing, ...] = ()
    removed: frozenset[str] = frozenset()
    palette: tuple[str, ...] = ()
    mood: tuple[str, ...] = ()
    time: str = ""
    season: str = ""
    weather: frozenset[str] = frozenset()
    place: str = ""
    frame: str = ""
    salt: int = 0

    def has(self, *keys: str) -> bool:
        """Return whether one of the named things is in the picture."""
        return any(thing.key in keys for thing in self.elements)

    def thing(self, key: str) -> Thing | None:
        """Return the named thing, or None."""
        return next((thing for thing in self.elements if thing.key == key), None)


@lru_cache(maxsize=1)
def _index() -> dict[tuple[str, ...], Entry]:
    index: dict[tuple[str, ...], Entry] = {}
    for entry in TABLE:
        for word in entry.words:
            index.setdefault(tuple(_plain(part) for part in word.split("_")), entry)
    return index


def _plain(word: str) -> str:
    """Return a word without case, accents and joiners."""
    flat = unicodedata.normalize("NFKD", word.casefold())
    flat = "".join(c for c in flat if not unicodedata.combining(c))
    return flat.replace("\u200d", "").replace("\ufe0f", "").replace("ø", "o").replace("œ", "oe")


def _stems(word: str) -> list[str]:
    """Return ``word`` and its possible stems, the most likely first."""
    found = [word]
    if len(word) < 4 or not word.isascii():
        return found
    for ending, others in (
        ("ies", ("y", "ie")),
        ("ves", ("f", "fe")),
        ("es", ("", "e")),
        ("s", ("",)),
        ("ing", ("", "e")),
        ("ed", ("", "e")),
        ("ly", ("", "y")),
        ("y", ("", "e")),
        ("en", ("", "e")),
        ("ish", ("",)),
        ("er", ("",)),
    ):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            base = word[: len(word) - len(ending)]
            found.extend(base + other for other in others)
            if len(base) > 3 and base[-1] == base[-2]:
                found.append(base[:-1])
    return found


def _entry_at(words: list[str], at: int) -> tuple[Entry | None, int]:
    """Return the entry that starts at a word, and how many words it takes."""
    index = _index()
    for length in (3, 2):
        if at + length <= len(words):
            phrase = words[at : at + length]
            for last in _stems(phrase[-1])[:4]:
                entry = index.get((*phrase[:-1], last))
                if entry is not None:
                    return entry, length
    word = words[at]
    if word in STOP_WORDS and (word,) not in index:
        return None, 1
    for stem in _stems(word):
        entry = index.get((stem,))
        if entry is not None:
            return entry, 1
    return None, 1


_SEVERAL = {
    "animal": 3, "swimmer": 3, "flyer": 3, "figure": 2, "craft": 3, "air": 3, "vehicle": 2,
    "building": 4, "object": 3, "plant": 4, "tree": 5,
}  # fmt: skip


def _is_plural(word: str, entry: Entry) -> bool:
    """Return whether a word names several of a thing (``boats``, but not ``birds``)."""
    if not word.endswith("s") or word.endswith(("ss", "us")) or word == entry.key:
        return False
    return any(stem != word and stem in entry.words for stem in _stems(word))


class _Reader:
    """Collects the meaning of a prompt, word by word."""

    def __init__(self) -> None:
        self.understood: dict[str, None] = {}
        self.unknown: dict[str, None] = {}
        self.things: dict[str, Thing] = {}
        self.removed: set[str] = set()
        self.colours: list[str] = []
        self.moods: list[str] = []
        self.single: dict[str, str] = {}
        self.air: set[str] = set()
        self.colour = ""
        self.count = 0
        self.size = 0
        self.wait = 0
        self.last = ""
        self.negated = False

    def pause(self) -> None:
        """End a clause: words before it bind to nothing after it."""
        if self.colour:
            self.colours.append(self.colour)
        self.colour, self.count, self.size, self.negated = "", 0, 0, False

    def add(self, entry: Entry, word: str) -> None:
        """Take in one understood word."""
        if self.negated:
            self.removed.add(entry.key)
            return
        role, key = entry.role, entry.key
        if role == "thing":
            self._thing(entry, several=_is_plural(word, entry))
        elif role == "colour":
            if self.colour:
                self.colours.append(self.colour)
            self.colour, self.wait = key, 3
        elif role == "count":
            self.count = int(key)
        elif role == "size":
            self.size = -1 if key == "small" else 1
        elif role == "mood":
            self.moods.append(key)
        elif role == "air":
            self.air.add(key)
        elif role == "part":
            if self.last and self.colour:
                self.things[self.last] = replace(self.things[self.last], eyes=self.colour)
                self.colour = ""
        else:
            self.single.setdefault(role, key)

    def _thing(self, entry: Entry, *, several: bool) -> None:
        old = self.things.get(entry.key)
        thing = old or Thing(entry.key, entry.kind)
        thing = replace(
            thing,
            count=self.count or thing.count or (_SEVERAL.get(entry.kind, 0) if several else 0),
            colour=self.colour or thing.colour,
            size=self.size or thing.size,
        )
        if old is not None or len(self.things) < MOST_THINGS:
            self.things[entry.key] = thing
            self.last = entry.key
        self.colour, self.count, self.size = "", 0, 0

    def read(self, text: str) -> None:
        """Read a whole text."""
        raw = _TOKEN.findall(text[:MOST_CHARACTERS])
        shown = [word for word in raw if _plain(word)]
        words = [_plain(word) for word in shown]
        at = 0
        while at < len(words):
            word = words[at]
            if word in _BREAKS:
                self.pause()
                at += 1
                continue
            if word in NEGATIONS:
                self.negated = True
                at += 1
                continue
            entry, length = _entry_at(words, at)
            if entry is not None:
                self.add(entry, "_".join(words[at : at + length]))
                self.understood[" ".join(shown[at : at + length]).casefold()] = None
            elif self._matters(word):
                self.unknown[shown[at].casefold()] = None
                if self.colour:
                    self.wait -= 1
                    if self.wait <= 0:
                        self.colours.append(self.colour)
                        self.colour = ""
            at += length
        self.pause()

    @staticmethod
    def _matters(word: str) -> bool:
        if word in STOP_WORDS:
            return False
        return word.isalnum() or any(unicodedata.category(c)[0] == "S" for c in word)


@lru_cache(maxsize=64)
def understand(prompt: str, negative_prompt: str = "") -> Understanding:
    """Read a prompt and say what of it the painter understands.

    Parameters: ``prompt`` and ``negative_prompt``, any text (what lies beyond 10,000
    characters is not read).  Returns an ``Understanding``.  Raises nothing for any text.

    Example::

        >>> seen = understand("three red boats and a gronk")
        >>> seen.elements[0].key, seen.elements[0].count, seen.not_understood
        ('boat', 3, ('gronk',))
    """
    reader = _Reader()
    reader.read(prompt)
    refusal = _Reader()
    refusal.read(negative_prompt)
    removed = reader.removed | set(refusal.things) | set(refusal.single.values())
    removed |= refusal.air | set(refusal.colours)
    things = tuple(t for key, t in reader.things.items() if key not in removed)
    single = {role: key for role, key in reader.single.items() if key not in removed}
    unknown = tuple(reader.unknown)
    refused = tuple(refusal.unknown)
    return Understanding(
        understood=tuple(reader.understood),
        not_understood=unknown + tuple(word for word in refused if word not in reader.unknown),
        elements=things,
        removed=frozenset(removed),
        palette=tuple(c for c in dict.fromkeys(reader.colours) if c not in removed),
        mood=tuple(m for m in dict.fromkeys(reader.moods) if m not in removed),
        time=single.get("time", ""),
        season=single.get("season", ""),
        weather=frozenset(reader.air - removed),
        place=single.get("place", ""),
        frame=single.get("frame", ""),
        salt=hash_number("unknown", unknown, refused) if unknown or refused else 0,
    )
