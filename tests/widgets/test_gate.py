"""The gate: every message that a page can think of is let in whole, or refused with a sentence."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.domain.ids import new_id
from workbench.widgets import gate as gate_module
from workbench.widgets.gate import Gate, Refusal, Request
from workbench.widgets.protocol import MAX_BUFFER_BYTES, MAX_DEPTH, OPS, RATES, Rate

CLIENT = "page-0001"
ID = new_id()


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def message(op: str, **args: Any) -> dict[str, Any]:
    return {"op": op, "rid": "r1", "client": CLIENT, "args": args}


def refused(content: object, buffers: object = ()) -> Refusal:
    checked = Gate().check(content, buffers)
    assert isinstance(checked, Refusal), checked
    return checked


def passed(content: object, buffers: object = ()) -> Request:
    checked = Gate().check(content, buffers)
    assert isinstance(checked, Request), checked
    return checked


VALUES = {
    "text": "x",
    "id": ID,
    "asset": "0" * 64,
    "whole": 3,
    "number": 0.5,
    "flag": True,
    "object": {"a": 1},
    "texts": ["a", "b"],
    "ids": [ID],
    "scalar": "x",
}
WRONG: dict[str, list[Any]] = {
    "text": [5, True, ["x"], {"x": 1}],
    "id": ["", "no id", ID.upper(), ID + "a", 5, "../" + ID],
    "asset": ["x", "0" * 63],
    "whole": [1.0, True, "1", [1]],
    "number": ["1", True, [1]],
    "flag": [0, 1, "true"],
    "object": [[1], "x", 5],
    "texts": ["a", [1], ["x" * 201], ["x"] * 600, {"a": "b"}],
    "ids": [ID, ["x"], [ID] * 501, [[ID]]],
    "scalar": [[1], {"a": 1}],
}


@pytest.mark.req("LIVE-3")
@pytest.mark.parametrize("op", OPS)
def test_every_operation_takes_what_it_says_and_nothing_else(op: str) -> None:
    rule = OPS[op]
    buffers = [b"x"] if op == "upload.chunk" else []
    required = {name: VALUES[kind] for name, kind in rule.required.items()}
    everything = required | {name: VALUES[kind] for name, kind in rule.optional.items()}
    assert dict(passed(message(op, **required), buffers).args) == required
    assert dict(passed(message(op, **everything), buffers).args) == everything
    passed(message(op, **required, **dict.fromkeys(rule.optional)), buffers)
    for name in required:
        rest = {other: value for other, value in everything.items() if other != name}
        for wrong in (rest, {**rest, name: None}):
            found = refused(message(op, **wrong), buffers)
            assert (found.code, found.field) == ("invalid_request", name)
    for name, kind in {**rule.required, **rule.optional}.items():
        for value in WRONG[kind]:
            found = refused(message(op, **{**everything, name: value}), buffers)
            assert (found.code, found.field) == ("invalid_request", name), value
    found = refused(message(op, **everything, path="/etc/passwd"), buffers)
    assert (found.code, found.field) == ("invalid_request", "path")


@pytest.mark.parametrize(
    "content",
    [
        None,
        5,
        [],
        "",
        {},
        b"x",
        message("no.such.op"),
        message("__class__"),
        {**message("pause"), "extra": 1},
        {**message("pause"), "op": 5},
        {**message("pause"), "op": ["pause"]},
        {**message("pause"), "args": None},
        {**message("pause"), "args": []},
        {**message("pause"), "args": {5: 1}},
        {**message("pause"), "rid": 5},
        {**message("pause"), "rid": ""},
        {**message("pause"), "rid": "x" * 65},
        {**message("pause"), "rid": "a\nb"},
        {**message("pause"), "client": None},
        {**message("pause"), "client": "short"},
        {**message("pause"), "client": "x" * 41},
        {**message("pause"), "client": "../../etc/passwd"},
        {"op": "pause", "rid": "r1", "args": {}},
    ],
)
def test_what_is_no_message_is_refused(content: object) -> None:
    assert refused(content).code == "bad_message"


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"a": math.nan}, "bad_message"),
        ({"a": math.inf}, "bad_message"),
        ({"a": [-math.inf]}, "bad_message"),
        ({"a": 10**400}, "bad_message"),
        ({"a": 2**53 + 2}, "bad_message"),
        ({"a": "\ud800"}, "bad_message"),
        ({"\ud800": 1}, "bad_message"),
        ({"a": object()}, "bad_message"),
        ({"a": "x" * 300_000}, "too_large"),
        ({"a": "ü" * 140_000}, "too_large"),
        ({"a": ["x"] * 6_000}, "too_large"),
        ({str(key): 1 for key in range(6_000)}, "too_large"),
        ({"x" * 300_000: 1}, "too_large"),
    ],
)
def test_values_that_cannot_be_are_refused(params: dict[str, Any], code: str) -> None:
    assert refused(message("estimate", params=params)).code == code


def test_depth_ends_at_the_limit() -> None:
    def nested(levels: int) -> Any:
        value: Any = 1
        for _ in range(levels):
            value = [value]
        return value

    passed(message("estimate", params={"a": nested(MAX_DEPTH - 3)}))
    assert refused(message("estimate", params={"a": nested(MAX_DEPTH)})).code == "bad_message"
    assert refused(message("estimate", params={"a": nested(100_000)})).code == "bad_message"
    itself: list[Any] = []
    itself.append(itself)
    assert refused(message("estimate", params={"a": itself})).code == "bad_message"


def test_looking_at_the_largest_message_is_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    class Long(str):
        __slots__ = ()

        def encode(self, *_: Any) -> bytes:
            raise AssertionError("each of its characters was looked at")

    looked_at: list[object] = []
    size = gate_module._size

    def noted(value: object) -> int:
        looked_at.append(value)
        return size(value)

    monkeypatch.setattr(gate_module, "_size", noted)
    text, numbers = Long("x" * 50_000_000), [1] * 1_000_000
    for params in ({"a": text, "b": numbers}, {"a": text}, {"b": numbers}, {"b": [numbers]}):
        looked_at.clear()
        assert refused(message("estimate", params=params)).code == "too_large"
        assert len(looked_at) < 10


def test_text_that_hostile_people_write_is_only_text() -> None:
    hostile = "<img src=x onerror=alert(1)>\u202e{{7*7}}\x1b]8;;http://x\x07'; DROP TABLE topic"
    assert passed(message("topic.create", title=hostile)).args["title"] == hostile


@pytest.mark.parametrize(
    ("op", "args", "buffers", "code"),
    [
        ("pause", {}, [b"x"], "bad_message"),
        ("upload.chunk", {"handle": "h", "offset": 0}, [], "bad_message"),
        ("upload.chunk", {"handle": "h", "offset": 0}, [b"a", b"b"], "bad_message"),
        ("upload.chunk", {"handle": "h", "offset": 0}, ["text"], "bad_message"),
        ("upload.chunk", {"handle": "h", "offset": 0}, 5, "bad_message"),
        ("upload.chunk", {"handle": "h", "offset": 0}, [bytes(MAX_BUFFER_BYTES + 1)], "too_large"),
    ],
)
def test_data_comes_only_with_pieces_of_an_upload(
    op: str, args: dict[str, Any], buffers: object, code: str
) -> None:
    assert refused(message(op, **args), buffers).code == code


def test_a_piece_of_an_upload_is_copied_out_of_the_message() -> None:
    data = bytearray(MAX_BUFFER_BYTES)
    request = passed(message("upload.chunk", handle="h", offset=0), [memoryview(data)])
    data[0] = 1
    assert request.buffers == (bytes(MAX_BUFFER_BYTES),)


@pytest.mark.req("LIVE-9")
@pytest.mark.parametrize("op", ["pause", "trash", "bye"])
def test_each_class_of_requests_has_its_own_pace(op: str) -> None:
    clock = Clock()
    gate = Gate(clock)
    rate = OPS[op].rate
    per_second, burst = RATES[rate]
    let_in = sum(isinstance(gate.check(message(op)), Request) for _ in range(burst + 500))
    assert let_in == burst
    others = {Rate.ACT: "trash", Rate.READ: "pause", Rate.BEAT: "pause"}
    assert isinstance(gate.check(message(others[rate])), Request)
    clock.now += 1.0
    again = sum(isinstance(gate.check(message(op)), Request) for _ in range(500))
    assert again == min(burst, per_second)
    clock.now -= 50.0  # a clock that goes back gives nothing
    assert isinstance(gate.check(message(op)), Refusal)


def test_refusals_are_counted_and_answered_once_a_second() -> None:
    clock = Clock()
    gate = Gate(clock)
    found = [gate.check(message("no.such.op")) for _ in range(100)]
    assert [isinstance(one, Refusal) and one.tell for one in found] == [True] + [False] * 99
    assert gate.counts.refused == {"bad_message": 100}
    clock.now += 1.0
    nobody = gate.check(None)
    assert isinstance(nobody, Refusal)
    assert not nobody.tell
    again = gate.check(message("topic.update", id="x"))
    assert isinstance(again, Refusal)
    assert (again.tell, again.rid, again.client) == (True, "r1", CLIENT)
    assert again.error == {"code": "invalid_request", "message": "must be an id.", "field": "id"}


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(ANYTHING, ANYTHING)
def test_it_never_raises_whatever_comes(content: object, buffers: object) -> None:
    gate = Gate()
    assert isinstance(gate.check(content, buffers), (Request, Refusal))


@given(st.sampled_from(sorted(OPS)), st.dictionaries(st.text(max_size=12), ANYTHING, max_size=4))
def test_what_it_lets_in_can_be_written_as_json(op: str, args: dict[str, Any]) -> None:
    names = [*OPS[op].required, *OPS[op].optional]
    named = dict(zip(names, args.values(), strict=False)) or args
    checked = Gate().check(message(op, **named))
    if isinstance(checked, Request):
        json.dumps(dict(checked.args), allow_nan=False).encode()


def test_an_object_that_fails_when_it_is_looked_at_is_refused() -> None:
    class Odd(dict[str, Any]):
        def keys(self) -> Any:
            raise RuntimeError("odd")

    assert refused(Odd()).code == "bad_message"
