"""A page that is not ours talks to the kernel: nothing that it says changes what it may not change.

The messages are put on the page's own websocket, beside our front end, as anybody can who may see
a page. What counts is the store: its rows before and after are compared whole.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import MakeLab
from tests.browser.lab_world import LabPage, OpenNotebook, eventually

pytestmark = [pytest.mark.faults, pytest.mark.timeout(400)]

WORLD = """
import hashlib, json
import workbench as wb
ws = wb.open()
other = wb.open(user="mallory")
ws.set_price("sketch", 2)
ws.grant(100, "for the pictures")
other.grant(100, "hers")
mine = ws.create_topic("Mine")
done = ws.generate("a red fox", n=2, topic=mine, width=64, height=64).wait()
hers = other.generate("her secret", n=2, topic=other.create_topic("Hers"), width=64, height=64)
hers.wait()
bench = wb.Workbench(ws)
bench.topic = mine
TABLES = ("project", "topic", "batch", "job", "generation", "attempt", "asset", "input",
          "judgement", "price", "ledger", "balance", "message")
def store_now():
    return {name: [int(ws.sql(f"SELECT count(*) FROM {name}").iat[0, 0]),
                   hashlib.sha256(ws.sql(f"SELECT * FROM {name}").to_csv().encode()).hexdigest()]
            for name in TABLES}
def traits_now():
    state = bench.get_state()
    return {name: hashlib.sha256(repr(value).encode()).hexdigest()
            for name, value in state.items() if not name.startswith("layout")}
def look():
    print(json.dumps({"store": store_now(), "traits": traits_now(), "desk": bench._desk.snapshot(),
                      "refused": bench._channel.gate.counts.refused}))
"""
IDS = """
print(json.dumps({
    "comm": bench.model_id, "mine": mine.id, "done": done.id, "image": done.generations[0].id,
    "second": done.generations[1].id, "traits": sorted(bench.get_state()),
    "her_topic": hers.topic.id, "her_batch": hers.id, "her_image": hers.generations[0].id,
    "her_project": other.projects()[0].id}))
"""
CELLS = [WORLD, "bench", IDS]

# What an attacker writes into the console of his page: raw messages, and an ear for the answers.
ATTACK = """comm => {
  const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
  const heard = [];
  kernel.iopubMessage.connect((_, message) => {
    const type = message.header.msg_type;
    if (type === "comm_msg") {
      const data = message.content.data;
      const sizes = (message.buffers ?? []).map(one => one.byteLength);
      heard.push({type: data.method, content: data.content ?? data.state ?? null, sizes});
    } else if (type === "error" || (type === "stream" && message.content.name === "stderr")) {
      heard.push({type, content: message.content});
    }
  });
  const wire = (data, buffers = []) => kernel.sendShellMessage({
    header: {
      msg_id: crypto.randomUUID(), msg_type: "comm_msg", session: kernel.clientId,
      username: "mallory", date: new Date().toISOString(), version: "5.3",
    },
    channel: "shell", content: {comm_id: comm, data}, metadata: {}, parent_header: {}, buffers,
  }, false, false);
  let count = 0;
  window.attack = {
    heard, wire,
    custom: (content, buffers) => wire({method: "custom", content}, buffers),
    update: state => wire({method: "update", state, buffer_paths: []}),
    ask: async (client, op, args, {sizes = [], ms}) => {
      const rid = `forged-${++count}`;
      const buffers = sizes.map(size => new ArrayBuffer(size));
      window.attack.custom({op, rid, client, args}, buffers);
      const end = performance.now() + ms;
      while (performance.now() < end) {
        const found = heard.find(one => one.content?.rid === rid && one.content?.to === client);
        if (found) return {...found.content, sizes: found.sizes};
        await new Promise(done => setTimeout(done, 20));
      }
      return null;
    },
  };
}"""
FORGER = "forger-of-messages"


@dataclass
class Attack:
    """A notebook with our widget, and the attacker's console beside it."""

    notebook: OpenNotebook
    ids: dict[str, Any]

    @classmethod
    def on(cls, lab: LabPage) -> Attack:
        notebook = lab.write_and_open(CELLS)
        notebook.run_all()
        root = notebook.widget()
        expect(root.get_by_test_id("live")).to_have_attribute("data-state", "live")
        expect(root.locator("[data-testid=generation]")).to_have_count(2)
        attack = cls(notebook, json.loads(notebook.text(2)))
        attack.js(f"({ATTACK})({json.dumps(attack.ids['comm'])})")
        hello = attack.ask("hello", {"version": 1})
        assert hello["ok"], hello
        return attack

    def js(self, code: str, argument: Any = None) -> Any:
        return self.notebook.page.evaluate(code, argument)

    def ask(
        self,
        op: str,
        args: Any,
        *,
        client: str = FORGER,
        sizes: tuple[int, ...] = (),
        within_s: float = 60,
    ) -> Any:
        """One message that looks right, and its answer."""
        return self.js(
            "([client, op, args, sizes, ms]) => window.attack.ask(client, op, args, {sizes, ms})",
            [client, op, args, list(sizes), within_s * 1000],
        )

    def refusal(self, op: str, args: Any, **options: Any) -> str:
        """The code of the error that a request gets."""
        # Refusals of the gate are told once a second, so that nobody is made to shout back.
        answer = eventually(
            lambda: self.ask(op, args, within_s=6, **options),
            lambda got: got is not None,
            within_s=60,
        )
        assert not answer["ok"], f"{op} {args} was done: {answer}"
        error = answer["error"]
        assert error["message"], error
        assert "Traceback" not in error["message"]
        return str(error["code"])

    def look(self) -> dict[str, Any]:
        """The store, the widget's traits and the shared desk, as the kernel has them."""
        return dict(json.loads(self.notebook.text(self.notebook.insert_and_run("look()"))))

    def heard(self, kind: str) -> list[Any]:
        return list(self.js("kind => window.attack.heard.filter(one => one.type === kind)", kind))

    def check_unharmed(self, before: dict[str, Any]) -> dict[str, Any]:
        """All as it was; nobody saw a traceback; the page still does what it is told."""
        after = self.look()
        assert after["store"] == before["store"]
        assert after["traits"] == before["traits"]
        assert after["desk"] == before["desk"]
        assert self.heard("error") == []
        assert self.heard("stream") == []
        self.check_serves()
        return after

    def check_serves(self) -> None:
        """A click of the person is served: the picture gets its heart in the store."""
        root = self.notebook.widget()
        expect(root.get_by_test_id("live")).to_have_attribute("data-state", "live")
        card = root.locator(f"[data-id='{self.ids['image']}']")
        card.hover()
        heart = card.get_by_test_id("favourite")
        was = heart.get_attribute("aria-pressed")
        heart.click()
        expect(heart).to_have_attribute("aria-pressed", "false" if was == "true" else "true")


@pytest.fixture
def attack(lab: LabPage) -> Attack:
    return Attack.on(lab)


def test_no_trait_is_a_pages_to_set_and_a_forged_one_is_not_echoed(attack: Attack) -> None:
    before = attack.look()
    names = [*attack.ids["traits"], "balance", "owner", "user", "price", "jobs", "read_only"]
    for value in ("OWNED", 99, None, True, ["OWNED"], {"OWNED": 1}, "IPY_MODEL_owned"):
        attack.js(
            "([names, value]) => names.forEach(name => window.attack.update({[name]: value}))",
            [names, value],
        )
        attack.js(
            "([names, value]) => window.attack.update("
            "Object.fromEntries(names.map(name => [name, value])))",
            [names, value],
        )
    attack.js("() => window.attack.update({_esm: 'x'.repeat(9 * 1024 * 1024)})")
    attack.js("() => window.attack.update(null)")
    attack.js("() => window.attack.update([1, 2])")
    attack.check_unharmed(before)
    for kind in ("echo_update", "update"):
        assert "OWNED" not in json.dumps(attack.heard(kind))


def test_messages_without_sense_are_refused_and_counted(attack: Attack) -> None:
    before = attack.look()
    whole = {"op": "pause", "rid": "r1", "client": FORGER, "args": {}}
    deep: Any = {}
    for _ in range(40):
        deep = {"deep": deep}
    nonsense: list[Any] = [
        None, 5, [], "", {}, True, 1.5, "pause", ["pause"], {"op": "pause"}, {**whole, "extra": 1},
        {**whole, "op": "drop table"}, {**whole, "op": None}, {**whole, "op": ["pause"]},
        {**whole, "op": "__class__"}, {**whole, "rid": None}, {**whole, "rid": "a\nb"},
        {**whole, "rid": "x" * 65}, {**whole, "client": "no"}, {**whole, "client": {"a": 1}},
        {**whole, "args": None}, {**whole, "args": []}, {**whole, "args": "everything"},
        {**whole, "args": {"extra": 1}}, {**whole, "args": {"__proto__": 1, "owner": "mallory"}},
        {**whole, "op": "desk.set", "args": {"n": 1, "config": deep}},
        {**whole, "op": "topic.create", "args": {"title": {"path": "/etc/passwd"}}},
        {**whole, "op": "submit", "args": {"prompt": ["a"], "client_key": 7}},
    ]  # fmt: skip
    attack.js("all => all.forEach(one => window.attack.custom(one))", nonsense)
    # As large as a websocket of Jupyter's takes; each in another place.
    attack.js(
        """whole => {
          const large = "x".repeat(9 * 1024 * 1024);
          window.attack.custom({...whole, op: "topic.create", args: {title: large}});
          window.attack.custom({...whole, op: large});
          window.attack.custom({...whole, [large]: 1});
          window.attack.custom(large);
        }""",
        whole,
    )
    # No method of a widget, or none at all.
    attack.js(
        """() => [null, 5, [], "", {}, {method: "eval"}, {method: "custom"}, {method: ["custom"]},
                  {method: "update"}].forEach(data => window.attack.wire(data))"""
    )
    after = attack.check_unharmed(before)
    refused = sum(after["refused"].values()) - sum(before["refused"].values())
    assert refused >= len(nonsense) + 4


@pytest.mark.req("TOP-5")
def test_the_rows_of_somebody_else_are_as_if_they_were_not_there(attack: Attack) -> None:
    before = attack.look()
    topic, batch, image, project = (
        attack.ids[name] for name in ("her_topic", "her_batch", "her_image", "her_project")
    )
    submit = {"client_key": "key-of-a-forger", "prompt": "into her topic"}
    asked: list[tuple[str, dict[str, Any]]] = [
        ("topic.open", {"topic_id": topic}),
        ("page", {"topic_id": topic, "cursor": "", "direction": "older"}),
        ("batch", {"id": batch}),
        ("generation", {"id": image}),
        ("walk", {"id": image, "direction": "next"}),
        ("deletion", {"topic_id": topic}),
        ("python", {"batch_id": batch}),
        ("file.open", {"kind": "original", "id": image}),
        ("file.open", {"kind": "image", "id": image}),
        ("file.open", {"kind": "zip", "id": batch}),
        ("submit", {**submit, "topic_id": topic}),
        ("submit", {**submit, "topic_id": attack.ids["mine"], "references": [image]}),
        ("cancel", {"generation_ids": [image]}),
        ("cancel", {"batch_id": batch}),
        ("cancel", {"topic_id": topic}),
        ("retry", {"generation_id": image}),
        ("retry_failed", {"batch_id": batch}),
        ("resolve", {"generation_id": image, "outcome": "retry"}),
        ("run_next", {"generation_id": image}),
        ("judge", {"generation_id": image, "rating": 1, "note": "mine now"}),
        ("topic.create", {"title": "in hers", "project_id": project}),
        ("topic.update", {"id": topic, "title": "mine now"}),
        ("topic.update", {"id": attack.ids["mine"], "project_id": project}),
        ("topic.update", {"id": attack.ids["mine"], "cover_generation_id": image}),
        ("project.update", {"id": project, "title": "mine now"}),
        ("desk.set", {"n": 1, "topic_id": topic}),
        *(
            (op, {"entity": entity, "id": id})
            for op in ("delete", "restore")
            for entity, id in (("topic", topic), ("batch", batch), ("generation", image))
        ),
    ]
    for op, args in asked:
        code = attack.refusal(op, args)
        assert code in ("not_found", "not_allowed", "invalid_request"), f"{op} {args}: {code}"
    # These answer with what there is: nothing of hers.
    pictures = attack.ask("thumbs", {"ids": [image, attack.ids["image"]], "size": 256})
    assert len(pictures["sizes"]) == 1
    assert attack.ask("previews", {"ids": [image]})["sizes"] == []
    everything = json.dumps(attack.js("() => window.attack.heard"))
    assert "her secret" not in everything
    assert "Hers" not in everything
    attack.check_unharmed(before)


@pytest.mark.req("TOK-2")
def test_wrong_values_end_in_a_sentence_before_anything_is_charged(attack: Attack) -> None:
    before = attack.look()
    good = {"client_key": "key-of-a-forger", "prompt": "a fox", "topic_id": attack.ids["mine"]}
    wrong: list[dict[str, Any]] = [
        {"n": 10**6}, {"n": -1}, {"n": 0}, {"n": 1.5}, {"n": "7; DROP"}, {"n": [4]}, {"n": True},
        {"width": 10**5, "height": 10**5}, {"width": -64}, {"width": "64"}, {"seed": "-1"},
        {"seed": "1e9"}, {"seed": str(2**64)}, {"model": "no/such"}, {"model": "../../etc/passwd"},
        {"params": {"steps": "7; DROP TABLE ledger"}}, {"params": {"fail": "all"}},
        {"params": {"price": 0}}, {"prompt": ""}, {"prompt": " \n "}, {"prompt": "x" * 10_001},
        {"references": ["/etc/passwd"]}, {"references": [{"path": "/etc/passwd"}]},
        {"client_key": ""}, {"client_key": "k" * 300}, {"topic_id": "../.."},
        {"price": 0}, {"owner": "mallory"}, {"cost_micro": 0}, {"balance": 10**9},
    ]  # fmt: skip
    for change in wrong:
        code = attack.refusal("submit", {**good, **change})
        assert code in ("invalid_request", "not_found"), f"{change}: {code}"
    acting: list[tuple[str, dict[str, Any]]] = [
        ("judge", {"generation_id": attack.ids["image"], "rating": 6}),
        ("judge", {"generation_id": attack.ids["image"], "rating": -1}),
        ("judge", {"generation_id": attack.ids["image"], "tags": ["t"] * 65}),
        ("delete", {"entity": "ledger", "id": attack.ids["done"]}),
        ("delete", {"entity": "topic", "id": attack.ids["image"]}),
        ("resolve", {"generation_id": attack.ids["image"], "outcome": "charged"}),
        ("cancel", {}),
        ("cancel", {"everything": True, "batch_id": attack.ids["done"]}),
        ("topic.update", {"id": attack.ids["mine"], "title": "x" * 10_000}),
        ("desk.set", {"n": 1, "config": {"n": 10**6}}),
        ("desk.set", {"n": 1, "config": {"owner": "mallory"}}),
        ("desk.set", {"n": 1, "panels": {"config_width": "7; DROP"}}),
        ("page", {"topic_id": attack.ids["mine"], "cursor": "'; DROP", "direction": "older"}),
        ("page", {"topic_id": attack.ids["mine"], "cursor": "", "direction": "sideways"}),
        ("upload.begin", {"name": "../../x.png", "size": 10**12}),
        ("upload.begin", {"name": "x", "size": -1}),
    ]
    for op, args in acting:
        code = attack.refusal(op, args)
        assert code in ("invalid_request", "not_found", "not_allowed"), f"{op} {args}: {code}"
    attack.check_unharmed(before)


def test_the_files_of_another_page_are_out_of_reach(attack: Attack) -> None:
    before = attack.look()
    thief = "thief-of-handles"
    assert attack.ask("hello", {"version": 1}, client=thief)["ok"]
    opened = attack.ask("file.open", {"kind": "original", "id": attack.ids["image"]})["data"]
    handle, size = opened["handle"], opened["size"]
    read = {"handle": handle, "offset": 0}
    assert attack.refusal("file.read", read, client=thief) == "not_found"
    assert attack.ask("file.close", {"handle": handle}, client=thief)["ok"]  # no error, no effect
    assert attack.ask("file.read", read)["sizes"] == [size]
    for offset in (-1, size + 1, 2**53, 2**60, "0", 0.5):
        code = attack.refusal("file.read", {"handle": handle, "offset": offset})
        assert code in ("invalid_request", "bad_message"), (offset, code)
    for other in ("", "../../etc/passwd", "/etc/passwd", attack.ids["image"]):
        assert attack.refusal("file.read", {"handle": other, "offset": 0}) in (
            "not_found",
            "invalid_request",
        )
    up = attack.ask("upload.begin", {"name": "../../x.png", "size": 3000})["data"]["handle"]
    piece = {"handle": up, "offset": 0}
    assert attack.refusal("upload.chunk", piece, client=thief, sizes=(1000,)) == "not_found"
    assert attack.refusal("file.read", {"handle": up, "offset": 0}) == "not_found"
    assert attack.ask("upload.chunk", piece, sizes=(1000,))["data"] == {"received": 1000}
    for offset, length in ((2000, 1000), (500, 600), (1000, 2001), (-1, 10)):
        wrong = {"handle": up, "offset": offset}
        assert attack.refusal("upload.chunk", wrong, sizes=(length,)) == "invalid_request"
    assert attack.refusal("upload.end", {"handle": up}) == "invalid_request"
    rest = {"handle": up, "offset": 1000}
    assert attack.ask("upload.chunk", rest, sizes=(2000,))["data"] == {"received": 3000}
    assert attack.refusal("upload.end", {"handle": up}) == "invalid_request"  # it is no picture
    attack.check_unharmed(before)


@pytest.mark.req("LIVE-5", "LIVE-6")
def test_what_is_said_in_the_name_of_another_page_does_not_leave_it_with_an_old_picture(
    attack: Attack,
) -> None:
    """Every page of a kernel hears the names of the others."""
    names = eventually(
        lambda: (
            attack.js(
                "() => [...new Set(window.attack.heard.map(one => one.content?.to))]"
                f".filter(name => name && name !== '{FORGER}')"
            )
            or attack.check_serves()
        ),  # an answer to the real page names it
        bool,
    )
    for name in names:
        for op, args in (
            ("ack", {"cursor": "999999999"}),
            ("ack", {"cursor": "'; DROP"}),
            ("bye", {}),
            ("since", {"cursor": "999999999"}),
            ("abort", {"request": "1"}),
        ):
            attack.js(
                "([client, op, args]) => window.attack.custom("
                "{op, rid: `as-${Math.random()}`, client, args})",
                [name, op, args],
            )
    batch = attack.notebook.insert_and_run(
        "ws.generate('later', n=2, topic=mine, width=64, height=64).wait(); print('made')"
    )
    assert "made" in attack.notebook.text(batch)
    root = attack.notebook.widget()
    expect(root.locator("[data-testid=generation][data-status=completed]")).to_have_count(4)
    attack.check_serves()


@pytest.mark.req("PRM-5")
def test_a_flood_of_messages_leaves_every_page_usable_and_truthful(
    attack: Attack, make_lab: MakeLab
) -> None:
    attack.notebook.save()
    second = make_lab().open(attack.notebook.path)
    other = second.widget()
    expect(other.get_by_test_id("live")).to_have_attribute("data-state", "live", timeout=30_000)
    before = attack.look()
    image = attack.ids["image"]
    attack.js(
        """([client, image]) => {
          for (let n = 0; n < 1000; n += 1) {
            window.attack.custom({op: "generation", rid: `f${n}`, client, args: {id: image}});
            window.attack.custom({op: "nonsense", rid: `g${n}`, client, args: {n}});
            window.attack.custom(n % 2 ? n : null);
          }
        }""",
        [FORGER, image],
    )
    # At once, while the kernel still has most of them before it.
    card = other.locator(f"[data-id='{attack.ids['second']}']")
    card.hover(timeout=90_000)
    card.get_by_test_id("favourite").click(timeout=90_000)
    # The kernel answers in between; the host hands each of its thousands of messages to the page.
    heart = card.get_by_test_id("favourite")
    expect(heart).to_have_attribute("aria-pressed", "true", timeout=90_000)
    stored = "print(ws.sql('SELECT count(*) FROM judgement WHERE favourite').iat[0, 0])"
    eventually(
        lambda: attack.notebook.text(attack.notebook.insert_and_run(stored)).strip(),
        lambda count: count == "1",
        within_s=60,
    )
    after = attack.look()
    changed = {name for name, now in after["store"].items() if now != before["store"][name]}
    assert changed == {"judgement"}
    mine = attack.notebook.widget().locator(f"[data-id='{attack.ids['second']}']")
    heart = mine.get_by_test_id("favourite")
    expect(heart).to_have_attribute("aria-pressed", "true", timeout=90_000)
    attack.notebook.insert_and_run(
        "ws.generate('after the flood', n=1, topic=mine, width=64, height=64).wait()"
    )
    done = "[data-testid=generation][data-status=completed]"
    expect(attack.notebook.widget().locator(done)).to_have_count(3, timeout=60_000)
    expect(other.locator(done)).to_have_count(3, timeout=60_000)
    assert attack.heard("error") == []
    attack.check_serves()
