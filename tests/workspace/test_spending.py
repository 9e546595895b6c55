"""What a request would cost, what was spent on what, and caps as Python sets them."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal, localcontext

import pytest

import workbench as wb
from workbench.domain.jobs import ImageReady
from workbench.domain.rates import Rate
from workbench.domain.records import BY_PROVIDER, Price
from workbench.errors import BudgetExceeded, NotAllowed, NotFound
from workbench.testing.pictures import png
from workbench.testing.providers import FakeProvider
from workbench.workspace.workspace import Workspace

BILLED = Price(unit="USD", amount_micro=40_000, version=BY_PROVIDER)


@pytest.fixture
def ws(workspace_home: object) -> Iterator[Workspace]:
    with wb.open(user="ada") as workspace:
        for name, cost in (("zoo", "0.05"), ("park", None)):
            workspace.add_provider(FakeProvider(name, price=BILLED, script=paints(cost)))
        yield workspace


def paints(cost: str | None):  # type: ignore[no-untyped-def]
    def script(request):  # type: ignore[no-untyped-def]
        for slot in request.slots:
            yield ImageReady(
                png(f"{request.prompt}{slot.seed}"),
                slot.index,
                cost=None if cost is None else Decimal(cost),
                unit=None if cost is None else "USD",
            )

    return script


def model_of(ws: Workspace, provider: str) -> str:
    (found,) = [model.id for model in ws.models() if model.provider == provider]
    return found


@pytest.mark.req("TOK-4", "TOK-6")
def test_spending_is_shown_by_day_provider_model_topic_and_user(ws: Workspace) -> None:
    foxes, wolves = ws.create_topic("foxes"), ws.create_topic("wolves")
    ws.generate("a fox", model=model_of(ws, "zoo"), n=2, topic=foxes).wait(30)
    ws.generate("a wolf", model=model_of(ws, "park"), topic=wolves).wait(30)
    ws.generate("a sketch", width=64, height=64, steps=1, topic=wolves).wait(30)
    by = ws.spend("provider")
    assert by.index.name == "provider"
    assert {name: (row.unit, row.spent, row.images) for name, row in by.iterrows()} == {
        "zoo": ("USD", Decimal("0.1"), 2),
        "park": ("USD", Decimal("0.04"), 1),
    }
    assert dict(ws.spend("topic").spent) == {"foxes": Decimal("0.1"), "wolves": Decimal("0.04")}
    assert list(ws.spend("model").index) == [model_of(ws, "park"), model_of(ws, "zoo")]
    (today,) = ws.spend("day", days=1).spent
    assert today == Decimal("0.14")
    assert ws.balances()["USD"] == -today
    with wb.open(user="bob") as other:
        assert other.spend("user").empty
        assert list(other.spend("user", all_users=True).index) == ["ada"]


@pytest.mark.req("TOK-4", "TOK-6")
def test_what_is_billed_at_a_price_that_nobody_knows_is_booked_and_counted(ws: Workspace) -> None:
    unknown = Price(unit="USD", version=BY_PROVIDER)
    costs = iter([None, None, "0.03", "0"])

    def script(request):  # type: ignore[no-untyped-def]
        yield from paints(next(costs))(request)

    ws.add_provider(FakeProvider("barn", price=unknown, script=script))
    topic = ws.create_topic("foxes")
    for _ in range(4):  # the last one was for nothing, as its provider said
        done = ws.generate("a fox", model=model_of(ws, "barn"), topic=topic).wait(30)
        assert done.status == "completed"
    (told,) = [row for _, row in ws.spend("provider").iterrows()]
    assert (told.unit, told.spent, told.images, told.not_known) == ("USD", Decimal("0.03"), 3, 2)
    ledger = ws.ledger()
    said = ledger[ledger.reason == "billed by the provider, amount not known"]
    assert [(row.kind, row.amount) for row in said.itertuples()] == [("settle", 0)] * 2
    assert [g.record.charged for g in topic.generations()] == [False, True, True, True]
    assert ws.doctor().problems == []


@pytest.mark.req("TOK-6")
def test_what_was_spent_stays_when_its_pictures_are_gone(ws: Workspace) -> None:
    batch = ws.generate("a fox", model=model_of(ws, "zoo"), n=2).wait(30)
    batch.delete()
    ws.empty_trash()
    assert dict(ws.spend("provider").spent) == {"(deleted)": Decimal("0.1")}


@pytest.mark.parametrize(
    ("given", "field"),
    [({"by": "mood"}, "by"), ({"by": 3}, "by"), ({"days": 0}, "days"), ({"days": "x"}, "days")],
)
def test_what_cannot_be_shown_is_refused(
    ws: Workspace, given: dict[str, object], field: str
) -> None:
    with pytest.raises(wb.InvalidRequest) as caught:
        ws.spend(**given)  # type: ignore[arg-type]
    assert caught.value.field == field


@pytest.mark.req("TOK-4")
def test_an_estimate_stores_nothing_and_refuses_what_generate_would(ws: Workspace) -> None:
    with localcontext() as context:
        context.prec = 2
        told = ws.estimate("a fox", model=model_of(ws, "zoo"), n=4, force=True)
    assert (told.images, told.cost, told.unit, told.by_provider) == (
        4,
        Decimal("0.16"),
        "USD",
        True,
    )
    ws.set_price("sketch", "2.5")
    sketch = ws.estimate("a fox", n=3, steps=4, width=256)
    assert (sketch.cost, sketch.unit, sketch.by_provider) == (Decimal("7.5"), "token", False)
    for wrong in ({"n": 0}, {"stepz": 3}, {"width": 7}, {"model": "skitch"}, {"seed": "x"}):
        with pytest.raises(wb.InvalidRequest):
            ws.estimate("a fox", **wrong)
    assert ws.topics() == []
    assert ws.spend().empty


@pytest.mark.req("TOK-4")
def test_an_estimate_says_why_generate_would_refuse_it_now(ws: Workspace) -> None:
    zoo, topic = model_of(ws, "zoo"), ws.create_topic("foxes")
    ws.set_price("sketch", "2.5")
    ws.grant(3)

    def asked(**request: object) -> str:
        """What the estimate says, which is what `generate` says."""
        told = ws.estimate("a fox", **request)
        assert told.cost > 0, "a price is told all the same"
        if not told.refusal:
            return ""
        with pytest.raises(wb.WorkbenchError) as caught:
            ws.generate("a fox", **request)  # type: ignore[arg-type]
        assert str(caught.value) == told.refusal
        return told.refusal

    assert asked(n=1) == asked(model=zoo, topic=topic) == ""
    assert "the balance is 3 tokens" in asked(n=2)
    ws.set_cap("0.05", per="total", topic=topic)
    assert "for this topic is left" in asked(model=zoo, n=2, topic=topic)
    assert asked(model=zoo, n=2) == ""
    ws.set_cap("0.01")
    assert "for you is left" in asked(model=zoo)
    ws.set_cap(None)
    with ws.budget("0.05", unit="USD"):
        assert "of the budget of 0.05 is left" in asked(model=zoo, n=2)
        assert asked(model=zoo) == ""
    assert ws.spend().empty


def test_an_estimate_for_a_topic_that_is_not_there_fails_as_generate_does(ws: Workspace) -> None:
    for ask in (ws.estimate, ws.generate):
        with pytest.raises(NotFound):
            ask("a fox", topic="nowhere")
        with pytest.raises(wb.InvalidRequest):
            ask("a fox", topic=3)


@pytest.mark.req("TOK-4")
def test_caps_stop_a_request_before_it_is_stored_and_can_be_taken_away(ws: Workspace) -> None:
    zoo = model_of(ws, "zoo")
    topic = ws.create_topic("foxes")
    ws.set_cap("0.09")
    ws.set_cap("0.05", per="total", topic=topic)
    with pytest.raises(BudgetExceeded, match="for this topic"):
        ws.generate("a fox", model=zoo, n=2, topic=topic)
    assert ws.generate("a fox", model=zoo, topic=topic).wait(30).status == "completed"
    with pytest.raises(BudgetExceeded, match="for you"):
        ws.generate("a fox", model=zoo, n=2)
    assert {(cap.scope, cap.per, cap.spent, cap.limit) for cap in ws.caps()} == {
        ("user", "day", Decimal("0.05"), Decimal("0.09")),
        ("topic", "total", Decimal("0.05"), Decimal("0.05")),
    }
    ws.set_cap(None)
    ws.set_cap(None, per="total", topic=topic)
    assert ws.caps() == []
    assert ws.generate("a fox", model=zoo, n=2, topic=topic).wait(30).status == "completed"


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"limit": -1}, wb.InvalidRequest),
        ({"limit": "x"}, wb.InvalidRequest),
        ({"limit": 1, "per": "week"}, wb.InvalidRequest),
        ({"limit": 1, "unit": "gold bars"}, wb.InvalidRequest),
        ({"limit": 1, "user": "bob"}, NotAllowed),
        ({"limit": 1, "user": "bob", "topic": "x"}, wb.InvalidRequest),
        ({"limit": 1, "user": 3}, wb.InvalidRequest),
        ({"limit": 1, "topic": "nowhere"}, wb.WorkbenchError),
        ({"limit": 1, "all_users": "yes"}, wb.InvalidRequest),
    ],
)
def test_a_cap_that_makes_no_sense_is_refused(
    ws: Workspace, given: dict[str, object], error: type[Exception]
) -> None:
    with pytest.raises(error):
        ws.set_cap(**given)  # type: ignore[arg-type]
    assert ws.caps() == []


def test_the_operator_caps_everybody_and_anybody(ws: Workspace) -> None:
    ws.set_cap(0, all_users=True)
    ws.set_cap(3, user="bob", all_users=True)
    assert [cap.scope for cap in ws.caps()] == ["everybody"]
    with wb.open(user="bob") as other:
        assert [cap.scope for cap in other.caps()] == ["everybody", "user"]
    with pytest.raises(BudgetExceeded, match="for everybody"):
        ws.generate("a fox", model=model_of(ws, "zoo"))


@pytest.mark.req("TOK-4")
def test_a_budget_counts_what_providers_bill(ws: Workspace) -> None:
    zoo = model_of(ws, "zoo")
    with ws.budget("0.1", unit="USD") as budget:
        ws.generate("a fox", model=zoo).wait(30)
        assert budget.spent == Decimal("0.05")
        with pytest.raises(BudgetExceeded):
            ws.generate("a fox", model=zoo, n=2)


def test_a_rate_follows_the_request(ws: Workspace) -> None:
    rate = Rate(per_megapixel=Decimal("0.02"))
    assert rate.micro({}, width=2000, height=500) == 20_000
