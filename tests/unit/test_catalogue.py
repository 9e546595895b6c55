"""Data files of models: three layers, one format, and a sentence for whatever is wrong in them."""

from __future__ import annotations

import json
import os
from datetime import UTC, date, datetime
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


def test_a_price_by_size_is_that_of_the_size_or_a_bound_and_goes_with_a_choice() -> None:
    sizes = {"1024x768": "0.3", "least": "0.5", "per_image": "0.4", "per_megapixel": "0.1"}
    low = {"least": "0", "per_image": "0", "per_megapixel": "0.01"}
    usd = {"per_image": "0.01", "by_size": {"quality": {"high": sizes, "low": low}}}
    rate = catalogue_of(whole(changed(usd=usd)), "zoo", "z.json").entries["lab/fox-1"].model.rate
    assert rate is not None
    told = {
        (width, height): rate.micro({"quality": "high"}, width=width, height=height)
        for width, height in ((1024, 768), (768, 1024), (1000, 1000), (500, 500), (2000, 3000))
    }
    assert list(told.values()) == [310_000, 310_000, 510_000, 510_000, 1_010_000]
    assert rate.micro({"quality": "low"}, width=2000, height=1000) == 30_000
    assert rate.micro({"quality": "auto"}, width=None, height=None) == 510_000


def test_a_model_that_is_switched_off_is_known_by_its_day() -> None:
    entry = catalogue_of(whole(changed(gone="2026-12-01")), "zoo", "z.json").entries["lab/fox-1"]
    assert not entry.is_gone(date(2026, 11, 30))
    assert entry.is_gone(date(2026, 12, 1))
    assert "2026-12-01" in entry.model.help


def ship(own: Path, monkeypatch: pytest.MonkeyPatch, *models: dict[str, Any]) -> None:
    """Have zoo.json ship with these models, and look for the user's files in `own`."""
    shipped = own / "shipped"
    (shipped / "data").mkdir(parents=True)
    (shipped / "data" / "zoo.json").write_text(json.dumps(whole(*models)))
    monkeypatch.setattr(catalogue, "files", lambda package: shipped)
    monkeypatch.setenv(catalogue.FOLDER, str(own))


@pytest.mark.req("TOK-6")
def test_what_was_refreshed_and_what_the_user_wrote_lie_over_what_ships(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path
    ship(own, monkeypatch, MODEL, changed(name="wolf"))
    assert list(load("zoo", "zoo").entries) == ["lab/fox-1", "wolf"]
    newer = {**whole({"name": "lab/fox-1", "usd": {"per_image": "0.5"}}), "dated": "2027-01-01"}
    (own / "zoo.refreshed.json").write_text(json.dumps(newer))
    mine = whole({"name": "wolf", "removed": True}, {"name": "lab/fox-1", "title": "My fox"})
    (own / "zoo.json").write_text(json.dumps(mine))
    found = load("zoo", "zoo")
    assert list(found.entries) == ["lab/fox-1"]
    model = found.entries["lab/fox-1"].model
    assert (model.title, model.price) == ("My fox", Decimal("0.5"))
    assert "as of 2027-01-01" in model.help


@pytest.mark.req("TOK-6")
def test_a_list_of_models_without_prices_makes_no_price_younger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ship(tmp_path, monkeypatch, MODEL)
    before = load("zoo", "zoo").entries["lab/fox-1"].model
    seen = {**whole({"name": "lab/fox-1"}, {"name": "new"}), "dated": "2027-01-01"}
    (tmp_path / "zoo.refreshed.json").write_text(json.dumps(seen))
    found = load("zoo", "zoo")
    assert found.dated == "2027-01-01"
    assert found.entries["lab/fox-1"].model == before
    assert "new" in found.entries
    assert whole()["dated"] in before.help


@pytest.mark.req("TOK-6")
def test_a_price_of_ones_own_is_as_old_as_ones_own_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ship(tmp_path, monkeypatch, MODEL, changed(name="wolf"))
    mine = {"name": "wolf", "usd": {"per_image": "0.5"}}
    (tmp_path / "zoo.json").write_text(json.dumps({"format": 1, "models": [mine]}))
    noon = datetime(2027, 2, 3, 12, tzinfo=UTC).timestamp()
    os.utime(tmp_path / "zoo.json", (noon, noon))

    def helps() -> list[str]:
        return [entry.model.help for entry in load("zoo", "zoo").entries.values()]

    said = [f"Paints foxes. Its price is as of {day}." for day in ("2026-11-21", "2027-02-03")]
    assert helps() == said
    newer = {**whole({"name": "wolf"}), "dated": "2027-05-05"}
    (tmp_path / "zoo.refreshed.json").write_text(json.dumps(newer))
    assert helps() == said
    (tmp_path / "zoo.json").write_text(
        json.dumps({"format": 1, "models": [{**mine, "priced": "2027-04-04"}]})
    )
    assert helps()[1].endswith("as of 2027-04-04.")


OTHERS = {"least": "0", "per_image": "0", "per_megapixel": "0"}


def by_size(prices: object) -> dict[str, object]:
    return {"by_size": {"quality": {"low": prices}}}


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
        (json.dumps(whole(changed(usd=by_size({"1024x768": "1"})))), "what other sizes cost"),
        (json.dumps(whole(changed(usd=by_size({**OTHERS, "square": "1"})))), "no size"),
        (json.dumps(whole(changed(usd=by_size("1")))), "not in order"),
        (json.dumps(whole(changed(operations=["dance"]))), "dance"),
        (json.dumps(whole(changed(gone="never"))), "not in order"),
        (json.dumps(whole(changed(priced=["2026-11-21"]))), "'priced' must be a day"),
        (json.dumps(whole(changed(priced="of old"))), "'priced' must be a day"),
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
    ship(tmp_path, monkeypatch, MODEL)
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
