"""The one HTTP policy: what is sent, how long is waited, what is read, what an error says."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
import socket
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.domain.status import ErrorKind
from workbench.errors import ConfigurationError, ProviderError
from workbench.providers.addresses import check_base_url
from workbench.providers.failures import Said, of_status, retry_after_s
from workbench.providers.http import Line, Patience, make_client
from workbench.providers.redaction import Secret, plain, redact
from workbench.providers.sse import EventReader, EventTooLarge, ServerEvent
from workbench.testing.emulators.server import JSON, Emulator, Fault, Reply, Seen

CANARY = "sk-canary-0123456789abcdef"
BIG = 1_000_000


class Echo(Emulator):
    """Answers every request with the same bytes, whole or in pieces."""

    body = b'{"ok": true}'
    pieces: list[bytes] | None = None

    def answer(self, seen: Seen, fault: Fault) -> Reply:
        if self.pieces is not None:
            return Reply(200, "text/event-stream", self.pieces, streamed=True)
        return Reply(200, JSON, [self.body])


@pytest.fixture
def server() -> Iterator[Echo]:
    with Echo() as one:
        yield one


def line(**changes) -> Line:
    changes = {"secrets": lambda: [Secret(CANARY)], **changes}
    return Line("Example", **changes)


def hurried(patience: Patience) -> Line:
    """A line whose client is there: on a busy machine, making one takes longer than is waited."""
    client = make_client(patience)
    return line(patience=patience, client=lambda _patience: client)


async def read(here: Line, url: str, *, max_bytes: int = BIG, **how) -> bytes:
    try:
        answer = await here.open("POST", url, json={"prompt": "x"}, creates=True, **how)
        try:
            return await answer.body(max_bytes=max_bytes)
        finally:
            await answer.close()
    finally:
        await here.close()


async def refused(here: Line, url: str, **how) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await read(here, url, **how)
    assert CANARY not in repr(caught.value)
    assert str(caught.value).endswith((".", "…"))
    return caught.value


def dead_address() -> str:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{one.getsockname()[1]}"


# -- what is sent ---------------------------------------------------------------------------------


async def test_nothing_of_the_environment_is_used(server, monkeypatch, workspace_home):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, dead_address())
    netrc = workspace_home / ".netrc"
    netrc.write_text("machine 127.0.0.1 login ann password secret\n")
    netrc.chmod(0o600)
    assert await read(line(), f"{server.url}/x") == server.body
    (seen,) = server.requests
    assert "authorization" not in seen.headers
    assert seen.headers["accept-encoding"] == "identity"
    assert seen.headers["user-agent"].startswith("image-workbench/")


async def test_a_redirect_is_not_followed(server):
    server.faults = [Fault(status=307, headers={"Location": f"{server.url}/elsewhere"})]
    here = line()
    answer = await here.open("POST", f"{server.url}/x", json={}, creates=True)
    error = answer.error(Said())
    await answer.close()
    await here.close()
    assert len(server.requests) == 1
    assert (error.kind, error.maybe_sent) == (ErrorKind.BAD_REQUEST, False)
    assert "redirects" in error.message


async def test_a_key_that_is_no_header_is_not_repeated_by_its_error(server):
    for wrong in (f"{CANARY}\r\nX-Evil: 1", f"{CANARY}ä", f"{CANARY}\x00"):
        error = await refused(
            line(), f"{server.url}/x", headers={"Authorization": f"Bearer {wrong}"}
        )
        assert not error.maybe_sent
        assert "canary" not in str(error)
    assert server.requests == []


async def test_a_finished_picture_is_fetched_without_a_key_and_only_from_where_it_may_be(server):
    here = line()
    data = await here.fetch(f"{server.url}/a.png?sig=1", max_bytes=BIG, home=f"{server.url}/v1")
    assert data == server.body
    assert "authorization" not in server.requests[0].headers
    for url in (f"{dead_address()}/a.png", "file:///etc/passwd", "http://169.254.169.254/x"):
        with pytest.raises(ProviderError, match="not fetched from"):
            await here.fetch(url, max_bytes=BIG, home=server.url)
    server.faults = [Fault(status=404)]
    with pytest.raises(ProviderError) as caught:
        await here.fetch(f"{server.url}/gone?sig=secret", max_bytes=BIG, home=server.url)
    assert "secret" not in str(caught.value)
    await here.close()


# -- how long is waited ---------------------------------------------------------------------------


async def test_slow_drops_end_at_the_total_deadline(server):
    server.faults = [Fault(drip_s=0.6)]
    error = await refused(hurried(Patience(stall_s=60, total_s=3.0)), f"{server.url}/x")
    assert (error.kind, error.maybe_sent) == (ErrorKind.TRANSIENT, True)
    assert "did not answer in time" in error.message


@pytest.mark.parametrize("patience", [Patience(total_s=3.0), Patience(stall_s=0.2)])
async def test_a_silent_server_is_not_waited_for_longer_than_agreed(server, patience):
    server.faults = [Fault(pause_s=600.0)]
    error = await refused(hurried(patience), f"{server.url}/x")
    assert (error.kind, error.maybe_sent) == (ErrorKind.TRANSIENT, True)


# -- what is read ---------------------------------------------------------------------------------


async def test_more_bytes_than_allowed_are_not_read(server):
    server.body = b"x" * 2_000
    declared = await refused(line(), f"{server.url}/x", max_bytes=1_000)
    server.pieces = [b"x" * 500] * 4
    counted = await refused(line(), f"{server.url}/x", max_bytes=1_000)
    for error in (declared, counted):
        assert "more bytes than are allowed" in error.message
        assert error.maybe_sent


@pytest.mark.parametrize("error", [LookupError(f"header {CANARY}"), RuntimeError(), None])
async def test_an_answer_is_kept_whatever_closing_its_connection_raises(error, caplog, monkeypatch):
    class Body(httpx.AsyncByteStream):
        async def __aiter__(self):
            yield b"nobody reads it"

        async def aclose(self):
            if error is None:
                await asyncio.Event().wait()
            raise error

    class Transport(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request):
            return httpx.Response(200, stream=Body())

        async def aclose(self):
            raise OSError(f"header {CANARY}")

    monkeypatch.setattr("workbench.providers.http._CLOSE_S", 0.01)
    caplog.set_level("DEBUG", "workbench.providers.http")
    here = line(client=lambda _patience: httpx.AsyncClient(transport=Transport()))
    answer = await here.open("POST", "https://zoo.test/", json={}, creates=True)
    await answer.close()
    assert answer.status == 200
    await here.close()
    classes = [TimeoutError if error is None else type(error), OSError]
    assert caplog.messages == [
        f"a connection to Example was not closed well: {one.__name__}" for one in classes
    ]
    assert CANARY not in caplog.text


async def test_what_is_compressed_is_not_read(server):
    server.faults = [Fault(headers={"Content-Encoding": "gzip"})]
    error = await refused(line(), f"{server.url}/x")
    assert "compressed" in error.message


@given(st.lists(st.integers(1, 40), max_size=12), st.sampled_from(["\n", "\r\n", "\r"]))
def test_events_are_the_same_however_they_are_cut(cuts, end):
    text = end.join(
        ["\ufeffevent: a", "data: 1", "data:2", "", ": remark", "id: 3", "", "data: ü", "", "data"]
    )
    whole = f"{text}{end}{end}".encode()
    reader = EventReader(max_bytes=10_000)
    events = []
    start = 0
    for length in [*cuts, len(whole)]:
        events += reader.feed(whole[start : start + length])
        start += length
    events += reader.close()
    assert events == [
        ServerEvent("a", b"1\n2"),
        ServerEvent("", "ü".encode()),
        ServerEvent("", b""),
    ]


def feed_often(reader: EventReader, piece: bytes) -> None:
    for _ in range(100):
        list(reader.feed(piece))


def test_an_event_without_an_end_is_not_collected_for_ever():
    reader = EventReader(max_bytes=1_000)
    with pytest.raises(EventTooLarge):
        feed_often(reader, b"x" * 100)
    reader = EventReader(max_bytes=1_000)
    with pytest.raises(EventTooLarge):
        feed_often(reader, b"data: " + b"x" * 100 + b"\n")


# -- what an error says ---------------------------------------------------------------------------


async def test_what_was_not_sent_is_known_not_to_be_sent(server):
    error = await refused(line(address_hint="EXAMPLE_URL"), f"{dead_address()}/x?key=secret")
    assert (error.kind, error.maybe_sent) == (ErrorKind.TRANSIENT, False)
    assert "EXAMPLE_URL" in error.message
    assert "secret" not in error.message


@pytest.mark.parametrize("fault", [Fault(reset_before=True), Fault(reset_after=5)])
@pytest.mark.parametrize("creates", [True, False])
async def test_a_connection_that_breaks_off_leaves_open_only_what_costs_something(
    server, fault, creates
):
    server.faults = [fault]
    here = line()

    async def whole() -> bytes:
        answer = await here.open("POST", f"{server.url}/x", json={}, creates=creates)
        return await answer.body(max_bytes=BIG)

    with pytest.raises(ProviderError) as caught:
        await whole()
    await here.close()
    assert caught.value.kind is ErrorKind.TRANSIENT
    assert caught.value.maybe_sent is creates
    assert "broke off" in caught.value.message


@pytest.mark.parametrize(
    ("status", "kind", "lost"),
    [
        (400, "bad_request", False),
        (401, "auth", False),
        (402, "quota", False),
        (403, "auth", False),
        (404, "bad_request", False),
        (408, "transient", True),
        (409, "transient", False),
        (413, "bad_request", False),
        (422, "bad_request", False),
        (429, "rate_limit", False),
        (500, "transient", False),
        (502, "transient", True),
        (503, "transient", False),
        (504, "transient", True),
        (524, "transient", True),
        (529, "transient", False),
    ],
)
def test_each_status_has_a_kind_and_a_sentence(status, kind, lost):
    paid = of_status("Example", status, Said("words"), creates=True)
    free = of_status("Example", status, Said("words"))
    assert (paid.kind, paid.maybe_sent) == (kind, lost)
    assert (free.kind, free.maybe_sent) == (kind, False)
    assert "Example" in paid.message


def test_a_gateway_that_speaks_of_a_server_error_leaves_it_open_all_the_same():
    assert of_status("Example", 502, Said("", ErrorKind.TRANSIENT), creates=True).maybe_sent
    assert not of_status("Example", 502, Said("", ErrorKind.BLOCKED), creates=True).maybe_sent


@pytest.mark.parametrize("kind", list(ErrorKind))
def test_a_code_in_the_body_says_more_than_the_status(kind):
    error = of_status("Example", 400, Said("words", kind), creates=True)
    assert (error.kind, error.maybe_sent) == (kind, False)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": " 2.5 "}, 2.5),
        ({"retry-after": "1e9"}, 1e9),  # the runner caps it
        ({"retry-after": "0"}, 0.0),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "x", "retry-after": "9"}, 9.0),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:30 GMT"}, 30.0),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:30"}, 30.0),
        ({"retry-after": "Wed, 21 Oct 2015 07:00:00 GMT"}, 0.0),
        (
            {
                "retry-after": "Wed, 21 Oct 2015 07:28:30 GMT",
                "date": "Wed, 21 Oct 2015 07:28:20 GMT",
            },
            10.0,
        ),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "Wed, 99 Oct 99999 07:28:30 GMT"}, None),
        ({"retry-after": ""}, None),
        ({}, None),
    ],
)
def test_every_kind_of_retry_after(headers, seconds):
    assert retry_after_s(headers, now=1445412480.0) == seconds


@given(st.text())
def test_whatever_a_header_says_is_read_or_ignored(text):
    wait = retry_after_s({"retry-after": text}, now=0.0)
    assert wait is None or wait >= 0


@pytest.mark.req("PRV-7")
@pytest.mark.parametrize(
    "text",
    [
        f"Incorrect API key provided: {CANARY}.",
        f"Authorization: Bearer {CANARY}",
        "wrong key sk-proj-*****************wxyz",
        f"GET https://cdn.example/a.png?X-Signature={CANARY}&x=1 failed",
        f"https://ann:{CANARY}@host.example/",
        "token r8_abcdefghijkl0123 refused",
        f"{'x' * 280} {CANARY}",
    ],
)
def test_no_key_and_no_signature_stays_in_a_text(text):
    shown = plain(text, [Secret(CANARY)])
    assert "canary" not in shown
    assert "wxyz" not in shown
    assert "abcdefghijkl" not in shown
    assert len(shown) <= 300


def test_what_a_provider_says_is_one_harmless_line():
    assert plain("a\x1b]8;;http://x\x07b\u202e\n\n<b>") == "a ]8;;http://x b <b>"
    assert plain(None) == plain(5) == ""
    assert plain("the parameter key_frames_count, a key parameterization") == (
        "the parameter key_frames_count, a key parameterization"
    )
    assert plain("\ud800ok") == "ok"
    assert len(plain("word " * 10_000)) <= 300
    assert redact("https://host.example/path is fine") == "https://host.example/path is fine"


@pytest.mark.req("PRV-7")
def test_a_secret_shows_itself_to_nobody():
    secret = Secret(CANARY)
    shown = [repr(secret), str(secret), f"{secret}", f"{secret!r:>40}", repr([secret])]
    assert not any(CANARY in text for text in shown)
    for copying in (copy.copy, copy.deepcopy, pickle.dumps, json.dumps):
        with pytest.raises(TypeError) as caught:
            copying(secret)
        assert CANARY not in str(caught.value)
    with pytest.raises(TypeError):
        vars(secret)
    assert secret == Secret(CANARY)
    assert not Secret("")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com/v1",
        "ftp://example.com",
        "https://",
        "https://ann:pw@example.com",
        "https://example.com/v1?key=1",
        "https://example.com/#x",
        "https://example.com:port/",
        "https://exa\nmple.com",
    ],
)
def test_an_address_that_cannot_be_one_is_refused_by_name(url):
    with pytest.raises(ConfigurationError, match="EXAMPLE_URL") as caught:
        check_base_url(url, "EXAMPLE_URL")
    assert "pw" not in str(caught.value)


def test_importing_the_policy_loads_no_client():
    program = (
        "import sys, workbench.providers.http, workbench.providers.openai_images;"
        "sys.exit(int('httpx' in sys.modules or 'PIL' in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=30, check=False).returncode == 0
