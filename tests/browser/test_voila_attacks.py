"""A visitor of the app who means harm: nothing is changed, nothing shown, and the others stay.

The victim has a page in a browser. The attacker has a page as well, and says through its websocket
and to the server whatever comes to mind.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import websocket
from playwright.sync_api import Browser, ConsoleMessage, expect

from tests.browser.lab_world import eventually
from tests.browser.voila_wire import PROTOCOL, WIDGETS, Wire, ask, token_of
from tests.browser.voila_world import AppServer, VoilaPage
from workbench.workspace.identity import user_of_token

pytestmark = [pytest.mark.faults, pytest.mark.timeout(400)]

SECRET = "a secret fox"
LARGE = "x" * (9 * 1024 * 1024)
SLIDER = {
    "state": {
        "_model_module": "@jupyter-widgets/controls", "_model_module_version": "2.0.0",
        "_model_name": "FloatSliderModel", "_view_module": "@jupyter-widgets/controls",
        "_view_module_version": "2.0.0", "_view_name": "FloatSliderView",
    },
    "buffer_paths": [],
}  # fmt: skip
KERNEL_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    app = AppServer(tmp_path_factory.mktemp("attacked")).start()
    yield app
    app.stop()


class Victim:
    """Somebody with a picture and a page that must stay as it is."""

    def __init__(self, page: VoilaPage) -> None:
        self.page = page
        self.said: list[str] = []
        page.page.on("console", self._heard)
        page.open()
        page.bench.generate(SECRET)
        page.bench.expect_all_completed(4)
        self.token = token_of(page)
        self.user = user_of_token(self.token)
        self.kernel_id = page.kernel_id()
        self.image = page.bench.ids()[0]

    def stored(self) -> dict[str, Any]:
        """All that is in the store, whose ever it is."""
        tables = ("project", "topic", "batch", "generation", "judgement", "attempt", "asset")
        with self.page.app.open() as ws:
            return {name: ws.sql(f"SELECT * FROM {name}").astype(str).to_csv() for name in tables}

    def check_serves(self) -> None:
        """The page is live, and a click of its person is done and stored."""
        bench = self.page.bench
        bench.expect_live()
        heart = bench.card(self.image).get_by_test_id("favourite")
        wanted = "false" if heart.get_attribute("aria-pressed") == "true" else "true"
        bench.card(self.image).hover()
        heart.click()
        expect(heart).to_have_attribute("aria-pressed", wanted)
        with self.page.app.open() as ws:
            count = "SELECT count(*) AS n FROM judgement WHERE favourite AND owner = ?"
            eventually(
                lambda: ws.sql(count, (self.user,))["n"][0], lambda n: n == (wanted == "true")
            )
        assert self.page.kernel_id() == self.kernel_id
        expect(bench.anywhere("ended")).to_have_count(0)

    def _heard(self, message: ConsoleMessage) -> None:
        self.said.append(message.text)


@pytest.fixture(scope="module")
def victim(browser: Browser, house: AppServer) -> Iterator[Victim]:
    page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    page.set_default_timeout(30_000)
    victim = Victim(VoilaPage(page, house))
    yield victim
    assert victim.page.console.surprises() == []
    victim.page.context.close()


@pytest.fixture
def wire(house: AppServer, victim: Victim) -> Iterator[Wire]:
    """The attacker, when the victim is there."""
    wire = Wire.arrive(house)
    yield wire
    wire.leave()


def check_nothing_heard(wire: Wire, victim: Victim) -> None:
    heard = wire.everything()
    for secret in (SECRET, victim.user, victim.token, victim.kernel_id):
        assert secret not in heard
    assert "Traceback" not in heard
    assert "site-packages" not in heard
    assert not [one for one in wire.heard if one.type in ("error", "stream")]


@pytest.mark.req("TOP-5")
def test_no_token_but_the_first_makes_a_page_somebody_elses(wire: Wire, victim: Victim) -> None:
    before = victim.stored()
    assert wire.refusal("trash")["code"] == "not_allowed"  # nobody has said who it is
    wrong = ("", "x", victim.token.upper(), victim.token[:-1], victim.token + "0", victim.user,
             " " * 32, "é" * 32, "../" * 10, "%" * 32)  # fmt: skip
    for token in wrong:
        assert wire.refusal("hello", version=1, token=token)["code"] == "not_allowed", token
    for odd in (5, True, [victim.token], {"token": victim.token}):
        assert wire.refusal("hello", version=1, token=odd)["code"] == "invalid_request"
    assert wire.refusal("hello", version=1)["code"] == "not_allowed"
    own = wire.hello()["user"]
    for token in (victim.token, "0" * 32):
        error = wire.refusal("hello", version=1, token=token)
        assert error["code"] == "not_allowed"
        assert victim.token not in error["message"]
    told = wire.hello()
    assert (told["user"], told["topics"]) == (own, [])
    assert wire.pictures(victim.image) == []
    check_nothing_heard(wire, victim)
    assert victim.stored() == before
    victim.check_serves()


def test_messages_without_sense_change_and_show_nothing(wire: Wire, victim: Victim) -> None:
    wire.hello()
    before = victim.stored()
    whole = {"op": "pause", "rid": "r0", "client": wire.client, "args": {}}
    for content in (
        None, 5, [], "", {}, True, "pause", {"op": "pause"}, {**whole, "extra": 1},
        {**whole, "op": "drop table"}, {**whole, "op": None}, {**whole, "op": "__class__"},
        {**whole, "rid": "a\nb"}, {**whole, "client": {"a": 1}}, {**whole, "args": []},
        {**whole, "args": {"__proto__": 1, "owner": victim.user}},
        {**whole, "op": LARGE}, {**whole, LARGE: 1}, LARGE,
        {**whole, "op": "topic.create", "args": {"title": LARGE}},
    ):  # fmt: skip
        wire.custom(content)
    # No trait is a page's to set, and a forged one is not sent back.
    for name in ("_esm", "_css", "_widget", "_view_name", "simple", "balance", "owner", "layout"):
        wire.widget({"method": "update", "state": {name: "OWNED"}, "buffer_paths": []})
    wire.widget({"method": "update", "state": {"_esm": LARGE}, "buffer_paths": []})
    wire.widget({"method": "update", "state": {"_esm": "OWNED" * 1000}, "buffer_paths": [["_esm"]]})
    control = uuid4().hex
    opened = {"comm_id": control, "target_name": f"{WIDGETS}.control", "data": {}}
    wire.say("comm_open", opened, metadata={"version": "1.0.0"})
    for data in (None, 5, [], {}, {"method": "eval"}, {"method": None}, {"method": ["x"]}):
        wire.widget(data)
        wire.say("comm_msg", {"comm_id": control, "data": data})
    for content in (None, 5, [], {}, "x", {"comm_id": [1], "target_name": {}, "data": None}):
        for kind in ("comm_open", "comm_msg", "comm_close", "comm_info_request"):
            wire.say(kind, content)
    # What the server itself reads: frames that begin with a large number kept it for ever.
    for frame in (
        "", "{", "null", b"", b"\0", b"\xff" * 8, b"\xff" * 100, struct.pack("<Q", 2**40),
        struct.pack("<7Q", 6, 2**63, 0, 1, 2**62, 5, 3), struct.pack("<7Q", 6, *(56,) * 6),
    ):  # fmt: skip
        wire.raw(frame)
    assert wire.hello()["topics"] == []
    assert "OWNED" not in wire.everything()
    check_nothing_heard(wire, victim)
    assert victim.stored() == before
    victim.check_serves()


def test_only_the_form_of_messages_that_pages_speak_is_understood(
    house: AppServer, wire: Wire
) -> None:
    path = f"api/kernels/{wire.kernel_id}/channels"
    for offered in ([], ["v0.kernel.websocket.jupyter.org"]):
        with pytest.raises(websocket.WebSocketBadStatusException, match="400"):
            websocket.create_connection(
                house.url(path).replace("http", "ws", 1),
                origin=house.url().rstrip("/"), subprotocols=offered, timeout=60,
            )  # fmt: skip
    for origin in ("https://example.org", "null"):
        with pytest.raises(websocket.WebSocketBadStatusException, match="403"):
            websocket.create_connection(
                house.url(path).replace("http", "ws", 1),
                origin=origin, subprotocols=[PROTOCOL], timeout=60,
            )  # fmt: skip
    wire.hello()


def test_nobody_runs_code_or_makes_widgets(wire: Wire, victim: Victim, tmp_path: Path) -> None:
    wire.hello()
    before, comms = victim.stored(), wire.comms()
    mark = tmp_path / "was-here"
    code = {"code": f"open({str(mark)!r}, 'w')", "silent": False, "allow_stdin": False}
    for kind in ("execute_request", "complete_request", "inspect_request", "history_request",
                 "debug_request", "input_reply", "create_subshell_request", "interrupt_request",
                 "no\n\x1b[31mrequest"):  # fmt: skip
        for channel in ("shell", "control", "stdin", "iopub", "no\nchannel"):
            wire.say(kind, {**code, "line": code["code"]}, channel=channel)
    wire.heard.clear()
    for _ in range(1000):
        slider = {"comm_id": uuid4().hex, "target_name": WIDGETS, "data": SLIDER}
        wire.say("comm_open", slider, metadata={"version": "2.1.0"})
    assert wire.comms() == comms
    wire.hello()  # after all of it was read
    kinds = {one.type for one in wire.heard}
    assert kinds <= {"status", "comm_close", "comm_msg", "comm_info_reply"}
    assert not mark.exists()
    check_nothing_heard(wire, victim)
    assert victim.stored() == before
    victim.check_serves()


@pytest.mark.req("PRM-5")
def test_a_flood_from_one_page_keeps_nobody_else_waiting(wire: Wire, victim: Victim) -> None:
    wire.hello()
    before = victim.stored()
    for number in range(1000):
        wire.request("generation", {"id": victim.image})
        wire.request("nonsense", {"n": number})
        wire.custom(None if number % 2 else number)
    victim.check_serves()  # while most of them still wait
    assert wire.hello()["topics"] == []
    assert not [one for one in wire.heard if one.custom.get("data", {}).get("row")]
    assert {name for name, now in victim.stored().items() if now != before[name]} <= {"judgement"}


@pytest.mark.req("APP-2")
def test_nothing_of_the_workspace_is_served(house: AppServer, victim: Victim) -> None:
    files = [one for one in house.workspace.rglob("*") if one.is_file()]
    names = [one.relative_to(house.workspace).as_posix() for one in files]
    kept = b"".join(one.read_bytes()[:4] for one in files)
    assert b"SQLi" in kept
    assert b"\x89PNG" in kept
    folders = [
        "", "files/", "static/", "voila/files/", "voila/static/", "api/contents/", "tree/",
        ".workbench/", "workspace/", "voila/templates/lab/static/", "notebooks/",
    ]  # fmt: skip
    ups = ("../" * 12, "%2e%2e%2f" * 12, "..%5c" * 12)
    asked = [f"/{folder}{name}" for folder in folders for name in names]
    asked += [
        f"/voila/{kind}/{up}{one.as_posix()[1:]}"
        for kind in ("static", "files")
        for up in ups
        for one in files
    ]
    asked += [
        "/api/contents", "/api/kernels", "/api/sessions", "/api/status", "/notebooks/app.ipynb",
        "/app.ipynb", "/files/app.ipynb", f"/voila/query/{uuid4()}",
    ]  # fmt: skip
    for path in asked:
        status, body = ask(house, path)
        assert status in (403, 404), (path, status)
        for bytes_of in (b"\x89PNG", b"RIFF", b"SQLite format 3", b"wb.Workbench", SECRET.encode()):
            assert bytes_of not in body, path
        assert victim.kernel_id.encode() not in body, path
    victim.check_serves()


def test_nobody_ends_a_page_without_its_number(
    house: AppServer, wire: Wire, victim: Victim
) -> None:
    here = {"Origin": house.url().rstrip("/")}
    leave = "/voila/api/shutdown/"
    for origin in ("https://example.org", "null", f"{house.url().rstrip('/')}0"):
        status, _ = ask(house, leave + victim.kernel_id, method="POST", headers={"Origin": origin})
        assert status == 403, origin
    for wrong in (
        "",
        "*",
        "..",
        str(uuid4()),
        victim.kernel_id[:-1],
        "%00",
        victim.kernel_id.upper(),
    ):
        status, _ = ask(house, leave + wrong, method="POST", headers=here)
        assert status in (204, 403, 404, 405), wrong
    status, _ = ask(house, f"/api/kernels/{victim.kernel_id}", method="DELETE", headers=here)
    assert status in (403, 404)
    # One's own is one's own to end.
    wire.say("shutdown_request", {"restart": False}, channel="control")
    victim.check_serves()


def test_neither_tokens_nor_numbers_of_kernels_are_written_down(
    house: AppServer, wire: Wire, victim: Victim
) -> None:
    wire.hello()
    ask(house, f"/api/kernels/{wire.kernel_id}?token={wire.token}")
    ask(house, f"/voila/x/{victim.kernel_id}")
    wire.refusal("hello", version=1, token=victim.token)
    wire.refusal("hello", version=7, token=wire.token)
    wire.raw(b"{" + victim.token.encode())
    victim.check_serves()
    secrets = [victim.token, wire.token, victim.kernel_id, wire.kernel_id]
    said = house.said()
    assert "Traceback" not in said
    assert not KERNEL_ID.search(said)
    assert not [one for one in secrets if one in said]
    # JupyterLab's own debug line says where the page's own kernel is, which the page says as well.
    console = "\n".join(text for text in victim.said if not text.startswith("Starting WebSocket:"))
    for text in (console, victim.page.page.url):
        assert not [one for one in secrets if one in text]
    files = [one for one in house.workspace.rglob("*") if one.is_file()]
    assert any(one.read_bytes().startswith(b"SQLite format 3") for one in files)
    for file in files:
        kept = file.read_bytes()
        assert not [one for one in secrets if one.encode() in kept], file.name
    assert victim.token not in json.dumps(victim.page.context.cookies())
