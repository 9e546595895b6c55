"""Data files of models: three layers, one format, and a sentence for whatever is wrong in them."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from workbench.domain.parameters import ParameterKind
from workbench.domain.rates import Rate
from workbench.errors import ConfigurationError
from workbench.providers import catalogue
from workbench.providers.catalogue import catalogue_of, load

MODEL: dict[str, Any] = {
    "name": "lab/fox-1",
    "title": "Fox 1",
    "help": "Paints foxes.",
    "operations": ["generate", "edit"],
    "max_images": 3,
    "max_references": 2,
    "usd": {"per_image": "0.01", "per_megapixel": "0.02", "by": {"quality": {"low": "0.001"}}},
    "parameters": {
        "width": {"kind": "integer", "default": 1000, "minimum": 64, "maximum": 2048},
        "height": {"kind": "integer", "default": 1000, "minimum": 64, "maximum": 2048},
        "quality": {"kind": "choice", "default": "low", "choices": ["low", "high"]},
    },
    "send": {"path": "fox"},
}


def whole(*models: dict[str, Any], **others: Any) -> dict[str, Any]:
    return {"format": 1, "dated": "2026-11-21", "models": list(models), **others}


def changed(**fields: Any) -> dict[str, Any]:
    return {**MODEL, **fields}


def test_an_entry_has_what_the_panel_shows_and_what_the_dialect_sends() -> None:
    found = catalogue_of(whole(MODEL, profile="x"), "zoo", "zoo.json")
    entry = found.entries["lab/fox-1"]
    model = entry.model
    assert (model.id, model.provider, model.max_references) == ("zoo:lab/fox-1", "zoo", 2)
    assert [one.value for one in model.operations] == ["generate", "edit"]
    assert model.parameters["width"].kind is ParameterKind.INTEGER
    assert (model.parameters["width"].unit, model.parameters["width"].group) == ("px", "size")
    assert entry.send["path"] == "fox"
    assert found.extra["profile"] == "x"
    assert "2026-11-21" in model.help


@pytest.mark.req("TOK-4", "TOK-6")
def test_a_price_follows_size_and_choices_and_says_that_the_provider_bills_it() -> None:
    model = catalogue_of(whole(MODEL), "zoo", "zoo.json").entries["lab/fox-1"].model
    assert model.price.by_provider
    assert model.price.unit == "USD"
    assert model.price == Decimal("0.031")  # 0.01 + one megapixel at 0.02 + low
    assert model.price_of({"quality": "low"}, width=2000, height=1000) == Decimal("0.051")
    free = catalogue_of(whole(changed(usd=None, free=True)), "zoo", "zoo.json")
    assert free.entries["lab/fox-1"].model.price.is_free
    unknown = catalogue_of(whole(changed(usd=None)), "zoo", "zoo.json").entries["lab/fox-1"].model
    assert unknown.price.by_provider
    assert not unknown.price.is_free
    assert unknown.price == 0


def test_where_the_provider_chooses_the_dearest_choice_counts() -> None:
    rate = Rate(by={"quality": {"low": Decimal("0.01"), "high": Decimal("0.2")}})
    assert rate.micro({"quality": "auto"}, width=None, height=None) == 200_000
    assert rate.micro({}, width=None, height=None) == 200_000


def test_a_model_that_is_switched_off_is_known_by_its_day() -> None:
    entry = catalogue_of(whole(changed(gone="2026-12-01")), "zoo", "z.json").entries["lab/fox-1"]
    assert not entry.is_gone(date(2026, 11, 30))
    assert entry.is_gone(date(2026, 12, 1))
    assert "2026-12-01" in entry.model.help


@pytest.mark.req("TOK-6")
def test_what_was_refreshed_and_what_the_user_wrote_lie_over_what_ships(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = tmp_path / "shipped"
    (shipped / "data").mkdir(parents=True)
    second = changed(name="wolf")
    (shipped / "data" / "zoo.json").write_text(json.dumps(whole(MODEL, second)))
    monkeypatch.setattr(catalogue, "files", lambda package: shipped)
    own = tmp_path / "own"
    own.mkdir()
    monkeypatch.setenv(catalogue.FOLDER, str(own))
    assert list(load("zoo", "zoo").entries) == ["lab/fox-1", "wolf"]
    newer = {**whole({"name": "lab/fox-1", "usd": {"per_image": "0.5"}}), "dated": "2027-01-01"}
    (own / "zoo.refreshed.json").write_text(json.dumps(newer))
    mine = whole({"name": "wolf", "removed": True}, {"name": "lab/fox-1", "title": "My fox"})
    (own / "zoo.json").write_text(json.dumps(mine))
    found = load("zoo", "zoo")
    assert list(found.entries) == ["lab/fox-1"]
    model = found.entries["lab/fox-1"].model
    assert (model.title, model.price) == ("My fox", Decimal("0.5"))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "is not JSON"),
        ("[]", "format"),
        ('{"format": 2}', "format"),
        ('{"format": 1, "models": 3}', "models"),
        ('{"format": 1, "models": [{"title": "x"}]}', "models"),
        (json.dumps(whole() | {"dated": "soon"}), "dated"),
        (json.dumps(whole(changed(name="../x"))), "cannot be the name"),
        (json.dumps(whole(changed(usd={"per_image": "free"}))), "not in order"),
        (json.dumps(whole(changed(usd={"per_image": -1}))), "no amount"),
        (json.dumps(whole(changed(usd={"per_image": 0.1}))), "must be text"),
        (json.dumps(whole(changed(usd={"per_picture": "1"}))), "per_picture"),
        (json.dumps(whole(changed(operations=["dance"]))), "dance"),
        (json.dumps(whole(changed(gone="never"))), "not in order"),
        (json.dumps(whole(changed(parameters={"x": {"kind": "colour"}}))), "colour"),
        (json.dumps(whole(changed(parameters={"x": {"kind": "integer", "max": 3}}))), "max"),
        (
            json.dumps(whole(changed(parameters={"x": {"kind": "integer", "default": "a"}}))),
            "must be a number",
        ),
        ("[" * 100_000, "JSON"),
    ],
)
def test_a_file_that_is_not_in_order_is_named_with_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, sentence: str
) -> None:
    shipped = tmp_path / "shipped"
    (shipped / "data").mkdir(parents=True)
    (shipped / "data" / "zoo.json").write_text(json.dumps(whole(MODEL)))
    monkeypatch.setattr(catalogue, "files", lambda package: shipped)
    monkeypatch.setenv(catalogue.FOLDER, str(tmp_path))
    (tmp_path / "zoo.json").write_text(text)
    with pytest.raises(ConfigurationError, match=sentence) as caught:
        load("zoo", "zoo")
    assert "zoo.json" in str(caught.value)


@pytest.mark.req("TOK-6", "PRV-2")
def test_every_data_file_that_ships_is_in_order_and_names_its_sources() -> None:
    folder = Path(catalogue.__file__).parent / "data"
    names = sorted(path.stem for path in folder.glob("*.json"))
    assert names
    for name in names:
        content = json.loads((folder / f"{name}.json").read_text("utf-8"))
        assert content["sources"], name
        assert all({"what", "from", "licence"} <= set(one) for one in content["sources"]), name
        found = load(name, "shipped")
        assert found.dated >= "2026-11-01", name
