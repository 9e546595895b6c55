"""The vocabulary of the provider ``sketch``: what it understands, and what it names unknown."""

import pytest

from workbench.providers.sketch.elements import DRAWINGS
from workbench.providers.sketch.painter import paint, understand
from workbench.providers.sketch.vocabulary import COLOURS, TABLE

pytestmark = pytest.mark.req("PRV-1")

ENTRIES = [pytest.param(e, id=f"{e.role}-{e.key}") for e in TABLE]
SCENERY = {"sky", "weather", "land", "water", "street", "cover"}


def first(prompt):
    return understand(prompt).elements[0]


@pytest.mark.parametrize("entry", ENTRIES)
def test_every_line_of_the_table_is_understood_and_painted(entry):
    word = entry.words[0].replace("_", " ")
    seen = understand(f"{word}, hills")
    assert word in seen.understood
    assert not seen.not_understood
    assert len(list(paint(word, width=64, height=64, seed=1, steps=1))) == 1


@pytest.mark.parametrize("entry", [e for e in TABLE if e.role == "thing"], ids=lambda e: e.key)
def test_every_thing_that_is_no_scenery_has_a_drawing(entry):
    assert entry.kind in SCENERY or entry.key in DRAWINGS or entry.key in {"galaxy", "meadow"}


def test_there_are_several_dozen_things():
    assert sum(e.role == "thing" for e in TABLE) >= 100


def test_every_colour_of_the_table_has_a_value():
    assert {e.key for e in TABLE if e.role == "colour"} <= set(COLOURS)


def test_unknown_words_are_named_and_small_words_are_not():
    seen = understand("The zorblax and a fox, with gronk")
    assert seen.not_understood == ("zorblax", "gronk")
    assert seen.understood == ("fox",)


@pytest.mark.parametrize("prompt", ["fox", "foxes", "Fuchs", "renard", "zorro", "🦊", "FOX!"])
def test_plurals_other_languages_and_emoji_are_understood(prompt):
    assert first(prompt).key == "fox"


@pytest.mark.parametrize(
    ("prompt", "count"),
    [("three boats", 3), ("5 boats", 5), ("drei Boote, two boats", 2), ("a boat", 0), ("boats", 3)],
)
def test_numbers_bind_to_the_thing_after_them(prompt, count):
    assert understand(prompt).thing("boat").count == count


def test_colours_bind_to_the_thing_after_them():
    seen = understand("a red fox near a blue house, green")
    assert seen.thing("fox").colour == "red"
    assert seen.thing("house").colour == "blue"
    assert seen.palette == ("green",)


def test_eyes_get_their_own_colour():
    assert first("a black cat with green eyes").eyes == "green"
    assert first("a black cat with green eyes").colour == "black"


@pytest.mark.parametrize(
    ("prompt", "negative"),
    [("a lake, no clouds", ""), ("a lake without clouds", ""), ("a lake with clouds", "clouds")],
)
def test_what_is_refused_is_left_out(prompt, negative):
    seen = understand(prompt, negative)
    assert not seen.has("clouds")
    assert "clouds" in seen.removed
    assert seen.has("lake")


@pytest.mark.parametrize(
    ("prompt", "part", "value"),
    [
        ("sunset", "time", "sunset"),
        ("autumn forest", "season", "autumn"),
        ("deep in the forest", "place", "forest"),
        ("portrait of a cat", "frame", "portrait"),
        ("a gloomy hill", "mood", ("gloomy",)),
    ],
)
def test_time_season_place_frame_and_mood_are_read(prompt, part, value):
    assert getattr(understand(prompt), part) == value


def test_understanding_reads_at_most_ten_thousand_characters():
    assert not understand("a " * 6_000 + "fox").elements


@pytest.mark.parametrize("prompt", ["", "\ud800", "\u0301" * 100, "🤷" * 3000, "((((", "no"])
def test_understanding_never_fails(prompt):
    understand(prompt, prompt)
