"""The settings file: defaults, limits of visitors, and sentences for what is wrong in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.domain.limits import VisitorLimits, day_start, is_visitor
from workbench.errors import ConfigurationError
from workbench.workspace.settings import Settings, load_settings


def read(folder: Path, text: str) -> Settings:
    (folder / "config.toml").write_text(text, "utf-8")
    return load_settings(folder)


@pytest.mark.req("TOK-4")
def test_without_a_file_visitors_have_the_usual_limits(tmp_path: Path) -> None:
    assert load_settings(tmp_path).visitors == VisitorLimits(100, 8, 200)
    assert read(tmp_path, "[visitors]\n").visitors == VisitorLimits(100, 8, 200)


@pytest.mark.req("TOK-4")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("images_per_day = 5", VisitorLimits(5, 8, 200)),
        ("unfinished = 1\nqueue = 3", VisitorLimits(100, 1, 3)),
        ("images_per_day = 0", VisitorLimits(0, 8, 200)),
        ("images_per_day = false", VisitorLimits(None, 8, 200)),
        ("unfinished = -1\nqueue = false", VisitorLimits(100, None, None)),
    ],
)
def test_visitors_limits_are_numbers_or_none(
    tmp_path: Path, text: str, expected: VisitorLimits
) -> None:
    assert read(tmp_path, f"[visitors]\n{text}\n").visitors == expected


@pytest.mark.parametrize("value", ["true", "-2", "1.5", '"8"', "[]", "1_000_001"])
@pytest.mark.parametrize("name", ["images_per_day", "unfinished", "queue"])
def test_anything_else_is_refused_with_what_would_be_right(
    tmp_path: Path, name: str, value: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(tmp_path, f"[visitors]\n{name} = {value}\n")
    assert "config.toml: visitors_" in str(caught.value)
    assert "from -1 to 1000000 (-1 or false: no limit)" in str(caught.value)


def test_false_is_a_number_nowhere_else(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="runner_max_jobs must be a whole number"):
        read(tmp_path, "[runner]\nmax_jobs = false\n")


def test_a_misspelt_limit_is_named_with_its_neighbour(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="Did you mean 'visitors_unfinished'"):
        read(tmp_path, "[visitors]\nunfinnished = 3\n")


def test_a_day_begins_at_midnight_utc() -> None:
    noon = 1_800_014_400_000
    assert day_start(noon) % 86_400_000 == 0
    assert 0 <= noon - day_start(noon) < 86_400_000


@pytest.mark.parametrize("name", ["ada", "Visitor-1", "visitor", "visitors-club", " visitor-1"])
def test_only_visitors_are_visitors(name: str) -> None:
    assert is_visitor("visitor-" + "0" * 32)
    assert not is_visitor(name)
