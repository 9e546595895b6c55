"""Ids, amounts, statuses, parameters and events: plain values, attacked with bad ones."""

from __future__ import annotations

import copy
import pickle
import threading
import time
from decimal import Decimal

import pytest

from workbench.domain.events import EVENTS, events_of
from workbench.domain.ids import is_asset_id, is_id, new_id
from workbench.domain.money import check_unit, from_micro, to_micro
from workbench.domain.parameters import Model, Parameter, ParameterKind, check_json
from workbench.domain.records import ChangeRecord, Price
from workbench.domain.status import (
    Status,
    batch_status,
    generation_status_display,
    is_terminal,
    parse_status,
)
from workbench.domain.texts import DETAILS, ERRORS, detail_text, error_text
from workbench.errors import ImageRejected, InvalidRequest, NotFound


@pytest.mark.req("DAT-3")
def test_ids_sort_by_time_even_when_made_in_one_millisecond_by_many_threads():
    made: list[list[str]] = []

    def make() -> None:
        made.append([new_id() for _ in range(500)])

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    everything = [id for ids in made for id in ids]
    assert len(set(everything)) == 2000
    assert all(ids == sorted(ids) for ids in made)
    assert all(is_id(id) for id in everything)


@pytest.mark.req("DAT-3")
def test_ids_go_on_growing_when_the_clock_steps_back(monkeypatch):
    before = new_id()
    monkeypatch.setattr(time, "time_ns", lambda: 1_000_000_000)
    assert new_id() > before


@pytest.mark.parametrize(
    "text", ["", "x", None, 5, "A" * 26, "i" * 26, "0" * 27, "../../etc/passwd"]
)
def test_what_is_no_id_is_recognised(text):
    assert not is_id(text)
    assert not is_asset_id(text)


@pytest.mark.req("TOK-1")
@pytest.mark.parametrize(
    ("amount", "micro"),
    [(2, 2_000_000), (0.1, 100_000), ("0.000001", 1), (Decimal("1e3"), 10**9), (-3, -3_000_000)],
)
def test_amounts_become_whole_micro_units_and_back(amount, micro):
    assert to_micro(amount) == micro
    assert from_micro(micro) == Decimal(str(amount))


@pytest.mark.req("TOK-1")
@pytest.mark.parametrize(
    "amount", ["", "much", float("nan"), float("inf"), "1e30", "0.0000001", True]
)
def test_amounts_that_cannot_be_booked_are_refused(amount):
    with pytest.raises(InvalidRequest, match="amount"):
        to_micro(amount)


@pytest.mark.parametrize("unit", ["", "a b", "x" * 13, "tok3n", None, "€"])
def test_units_are_short_words(unit):
    with pytest.raises(InvalidRequest, match="unit"):
        check_unit(unit)


def test_a_price_is_a_number_that_survives_copies_and_pickles():
    price = Price(unit="USD", amount_micro=40_000, version=3)
    assert price == Decimal("0.04")
    for other in (copy.copy(price), copy.deepcopy(price), pickle.loads(pickle.dumps(price))):
        assert (other, other.unit, other.version, other.amount_micro) == (price, "USD", 3, 40_000)


@pytest.mark.req("STA-3")
def test_words_of_other_tools_are_read_as_ours():
    assert parse_status("success") is Status.COMPLETED
    assert parse_status("error") is Status.FAILED
    assert is_terminal("canceled")
    assert not is_terminal("queued")
    with pytest.raises(ValueError, match="pending, queued"):
        parse_status("sleeping")


@pytest.mark.req("STA-3")
@pytest.mark.parametrize("status", list(Status))
def test_every_status_says_how_it_is_shown(status):
    shown = generation_status_display(status)
    assert set(shown) == {"label", "icon", "color", "description"}
    assert all(shown.values())


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        (["completed", "processing"], "processing"),
        (["pending", "queued", "failed"], "queued"),
        (["pending", "completed"], "pending"),
        (["failed", "cancelled"], "failed"),
        (["cancelled"], "cancelled"),
        (["completed", "failed", "cancelled"], "completed"),
    ],
)
def test_the_status_of_a_batch_follows_from_its_images(statuses, expected):
    assert batch_status(Status(word) for word in statuses) == expected


@pytest.mark.req("CFG-2")
def test_a_parameter_out_of_range_is_refused_with_what_would_be_right():
    width = Parameter(ParameterKind.INTEGER, minimum=64, maximum=2048, step=8, unit="px")
    assert width.check("width", 512.0) == 512
    with pytest.raises(InvalidRequest, match="512 and 520 are"):
        width.check("width", 513)
    with pytest.raises(InvalidRequest, match="largest is 2048 px"):
        width.check("width", 100_000)
    for bad in ("7; DROP", True, None, [], float("nan"), 10**400, 1.5, -1, object()):
        with pytest.raises(InvalidRequest, match="width"):
            width.check("width", bad)


@pytest.mark.req("CFG-2")
def test_an_unknown_parameter_is_refused_with_a_near_match():
    model = Model(
        id="x:y",
        provider="x",
        name="y",
        title="Y",
        help="",
        parameters={
            "guidance": Parameter(ParameterKind.NUMBER, default=7.5, minimum=0, maximum=20),
            "style": Parameter(ParameterKind.CHOICE, default="ink", choices=("ink", "pastel")),
        },
    )
    assert model.check({}) == {"guidance": 7.5, "style": "ink"}
    with pytest.raises(InvalidRequest, match="Did you mean 'guidance'"):
        model.check({"guidence": 3})
    with pytest.raises(InvalidRequest, match="Did you mean 'pastel'"):
        model.check({"style": "pastell"})


def test_json_values_are_plain_finite_and_shallow():
    assert check_json("x", {"a": (1, 2.5, None)}) == {"a": [1, 2.5, None]}
    deep: list[object] = []
    for _ in range(12):
        deep = [deep]
    for bad in (float("inf"), {1: 2}, object(), deep, b"bytes"):
        with pytest.raises(InvalidRequest):
            check_json("x", bad)


@pytest.mark.parametrize("table", [DETAILS, ERRORS])
def test_texts_with_missing_arguments_still_say_their_key(table):
    look_up = detail_text if table is DETAILS else error_text
    for key, template in table.items():
        text = look_up(key, {})
        assert text == (template if "{" not in template else key)
    assert look_up("from_a_newer_version", {}) == "from_a_newer_version"


def test_errors_survive_a_pickle():
    for error in (
        InvalidRequest("width", "too large."),
        NotFound("topic", "abc"),
        ImageRejected("no picture", reason="not_an_image"),
    ):
        again = pickle.loads(pickle.dumps(error))
        assert str(again) == str(error)
        assert vars(again) == vars(error)


def _change(entity: str, kind: str, **data: object) -> ChangeRecord:
    id = data.pop("id", "x")
    return ChangeRecord(1, entity, str(id), kind, 1, data, (), "topic", "ada", 0)


@pytest.mark.req("LIVE-2")
@pytest.mark.parametrize(
    ("change", "names"),
    [
        (
            _change("generation", "update", status="completed", asset_id="a"),
            ["generation_completed", "image_insert"],
        ),
        (
            _change("generation", "insert", status="completed", operation="import"),
            ["image_insert"],
        ),
        (
            _change("generation", "update", status="failed", error_kind="auth"),
            ["generation_failed"],
        ),
        (_change("generation", "update", status="cancelled"), ["generation_cancelled"]),
        (_change("generation", "update", progress=0.5), ["generation_progress"]),
        (_change("generation", "insert", status="queued"), ["generation_progress"]),
        (_change("generation", "update", deleted_at=5), ["image_delete"]),
        (_change("generation", "update", deleted_at=None), ["image_insert"]),
        (_change("generation", "delete"), ["image_delete"]),
        (_change("judgement", "update", id="g:ada", rating=3), ["image_update"]),
        (_change("ledger", "insert", amount_micro=5), ["token_balance_updated"]),
        (_change("topic", "insert"), ["topic_insert"]),
        (_change("topic", "update", title="x"), ["topic_update"]),
        (_change("topic", "update", deleted_at=5), ["topic_delete"]),
        (_change("topic", "update", deleted_at=None), ["topic_insert"]),
        (_change("message", "insert"), ["message_insert"]),
        (_change("asset", "insert"), []),
        (_change("batch", "insert"), []),
    ],
)
def test_changes_become_public_events(change, names):
    events = list(events_of(change))
    assert [name for name, _ in events] == names
    assert set(names) <= EVENTS
    assert all(payload["topic_id"] == "topic" for _, payload in events)
