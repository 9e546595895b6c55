"""Azure's OpenAI through the real engine; the official client does the same beside it."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime

import pytest

import workbench as wb
from tests.providers.world import assert_nowhere
from workbench.errors import ConfigurationError, ProviderError
from workbench.providers import catalogue
from workbench.providers.azure_openai import USUAL_VERSION, AzureOpenAI
from workbench.providers.catalogue import load
from workbench.providers.http import Patience
from workbench.providers.openai_models import token_rates
from workbench.testing.emulators.azure_openai import AzureEmulator
from workbench.testing.emulators.server import Fault
from workbench.testing.pictures import png

DEPLOYED = {"pictures": "gpt-image-2", "gpt-image-1-mini": "gpt-image-1-mini", "odd": "mine"}
MODEL = "az:pictures"
CANARY = "canary0123456789abcdefcanary9876"
PATH = f"/openai/deployments/pictures/images/generations?api-version={USUAL_VERSION}"


@pytest.fixture
def azure() -> Iterator[AzureEmulator]:
    with AzureEmulator(DEPLOYED) as server:
        yield server


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch):
    for name in ("ENDPOINT", "API_KEY", "API_VERSION", "DEPLOYMENTS"):
        monkeypatch.delenv(f"AZURE_OPENAI_{name}", raising=False)
    monkeypatch.delenv("OPENAI_API_VERSION", raising=False)


@pytest.fixture(autouse=True)
def on_the_day_of_the_data(monkeypatch):
    """Azure ends its models by their dates; here none of them has come."""
    day = date.fromisoformat(load("azure_openai", "az").dated)

    class Day(date):
        @classmethod
        def today(cls) -> date:
            return day

    monkeypatch.setattr(catalogue, "date", Day)


def added(ws, server: AzureEmulator, **changes) -> AzureOpenAI:
    given = {"base_url": server.url, "key": server.key, "deployments": DEPLOYED, **changes}
    provider = AzureOpenAI("az", **given)
    ws.add_provider(provider)
    return provider


def ended(batch: wb.Batch) -> wb.Batch:
    return batch.wait(30)


def error_of(batch: wb.Batch):
    (generation,) = ended(batch).generations
    assert generation.error is not None, (generation.status, generation.detail)
    return generation.error


@pytest.mark.req("PRV-2", "TOK-4")
def test_a_deployment_makes_pictures_that_cost_what_its_tokens_do(ws, azure):
    added(ws, azure)
    done = ended(ws.generate("a red fox", model=MODEL, n=2, width=1536, height=1024, quality="low"))
    assert [g.asset.path.read_bytes() for g in done.generations] == [png("a red fox|0")] * 2
    rates = token_rates(load("azure_openai", "az").entries["gpt-image-2"])
    cost = rates.cost({"input_tokens": 10, "output_tokens": 1100})
    assert [g.cost for g in done.generations] == [cost] * 2
    assert azure.images_charged == 2
    seen = azure.requests[0]
    assert (seen.method, seen.path, seen.headers["api-key"]) == ("POST", PATH, azure.key)
    assert "authorization" not in seen.headers
    assert seen.json() == {
        "model": "pictures",
        "prompt": "a red fox",
        "n": 1,
        "size": "1536x1024",
        "quality": "low",
        "output_format": "png",
        "stream": True,
        "partial_images": 1,
    }
    assert ws.doctor().problems == []


@pytest.mark.req("PRV-8")
def test_references_go_to_the_deployments_edits(ws, azure):
    added(ws, azure)
    ended(ws.generate("like this", model=MODEL, references=[png("one")]))
    assert azure.requests[0].path == PATH.replace("generations", "edits")
    assert [p.content for p in azure.requests[0].parts() if p.filename] == [png("one")]


@pytest.mark.req("PRV-2", "CFG-1")
def test_everything_comes_from_the_environment_and_is_asked_for_by_name(ws, azure, monkeypatch):
    ws.add_provider(AzureOpenAI())

    def state():
        (info,) = [info for info in ws.providers() if info.name == "azure"]
        return info.state

    assert (state().ready, state().code) == (False, "key_missing")
    for name in ("AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_API_KEY", "AZURE_OPENAI_DEPLOYMENTS"):
        assert name in state().message
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", f"{azure.url}/openai/v1/")
    assert "AZURE_OPENAI_DEPLOYMENTS" in state().message
    monkeypatch.setenv("AZURE_OPENAI_DEPLOYMENTS", "pictures=gpt-image-2, gpt-image-1-mini")
    assert "AZURE_OPENAI_API_KEY" in state().message
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", azure.key)
    monkeypatch.setenv("AZURE_OPENAI_API_VERSION", "2026-01-01")
    assert state().ready
    names = [model.id for model in ws.models() if model.provider == "azure"]
    assert names == ["azure:pictures", "azure:gpt-image-1-mini"]
    done = ended(ws.generate("a fox", model="azure:gpt-image-1-mini"))
    assert done.status == "completed"
    assert azure.requests[0].path.endswith(
        "gpt-image-1-mini/images/generations?api-version=2026-01-01"
    )
    for name, wrong in (
        ("AZURE_OPENAI_API_VERSION", "a b"),
        ("AZURE_OPENAI_DEPLOYMENTS", "pic/ures=gpt"),
        ("AZURE_OPENAI_ENDPOINT", "mine"),
    ):
        monkeypatch.setenv(name, wrong)
        assert (state().ready, state().code) == (False, "error")
        assert name in state().message
        monkeypatch.setenv(name, {"AZURE_OPENAI_ENDPOINT": azure.url}.get(name, "pictures"))


def test_the_newer_address_has_no_deployment_in_it(ws, azure):
    added(ws, azure, api_version="v1")
    assert ended(ws.generate("a fox", model=MODEL)).status == "completed"
    assert azure.requests[0].path == "/openai/v1/images/generations"


def test_a_deployment_of_an_unknown_model_has_sizes_and_no_price(ws, azure):
    added(ws, azure)
    (odd,) = [model for model in ws.models() if model.id == "az:odd"]
    assert set(odd.parameters) == {"width", "height"}
    (made,) = ended(ws.generate("a fox", model="az:odd", width=512, height=512)).generations
    assert made.status == "completed"
    assert azure.requests[0].json()["size"] == "512x512"


def test_names_that_are_none_are_refused_at_once():
    with pytest.raises(ConfigurationError, match="pictures=gpt-image-2"):
        AzureOpenAI(deployments=["../x"])


async def test_asking_costs_nothing(azure):
    provider = AzureOpenAI("az", base_url=azure.url, key=azure.key, deployments=["pictures"])
    assert await provider.test() == "Azure OpenAI answered; 1 deployment named here."
    assert azure.requests[0].path == f"/openai/models?api-version={USUAL_VERSION}"
    wrong = AzureOpenAI("az", base_url=azure.url, key="0000", deployments=["pictures"])
    with pytest.raises(ProviderError, match="did not accept its key"):
        await wrong.test()


FAILS = [
    (Fault(status=401, code="401"), "auth", "its key"),
    (Fault(status=403), "auth", "does not allow"),
    (Fault(status=404, code="DeploymentNotFound"), "bad_request", "does not know this model"),
    (Fault(status=400, code="content_policy_violation"), "blocked", "content policy"),
    (Fault(status=400, code="contentFilter"), "blocked", "content policy"),
    (Fault(status=429, code="insufficient_quota"), "quota", "no credit"),
    (Fault(in_stream="contentFilter"), "blocked", "content policy"),
]


@pytest.mark.req("PRV-7", "TOK-2")
@pytest.mark.parametrize(("fault", "kind", "said"), FAILS)
def test_a_failure_is_typed_and_costs_nothing(ws, azure, fault, kind, said):
    added(ws, azure)
    azure.faults = [fault]
    error = error_of(ws.generate("a fox", model=MODEL))
    assert (error.kind, error.charged) == (kind, False)
    assert said in error.message
    assert azure.key not in error.message
    assert len(azure.requests) == 1


def test_a_deployment_that_is_gone_is_a_sentence(ws, azure):
    added(ws, azure, deployments=["other=gpt-image-2"])
    error = error_of(ws.generate("a fox", model="az:other"))
    assert (error.kind, azure.images_charged) == ("bad_request", 0)
    assert "does not exist" in error.message


@pytest.mark.req("PRV-4")
@pytest.mark.parametrize("wait", ["0", "soon", "date"])
def test_a_busy_resource_is_asked_again(ws, azure, wait):
    added(ws, azure)
    if wait == "date":
        wait = format_datetime(datetime.now(UTC) + timedelta(seconds=0.1), usegmt=True)
    azure.faults = [Fault(status=429, headers={"Retry-After": wait})]
    assert ended(ws.generate("a fox", model=MODEL)).status == "completed"
    assert (len(azure.requests), azure.images_charged) == (2, 1)


@pytest.mark.req("TOK-5", "PRV-7")
@pytest.mark.parametrize(
    "fault", [Fault(reset_after=0), Fault(status=504), Fault(silent=True)], ids=repr
)
def test_a_lost_answer_is_an_unknown_outcome(ws, azure, fault):
    added(ws, azure, patience=Patience(total_s=25.0))
    azure.faults = [fault]
    (lost,) = ended(ws.generate("a fox", model=MODEL)).generations
    assert (lost.status, lost.detail) == ("processing", "outcome_unknown")
    assert len(azure.requests) == 1


def test_no_picture_is_a_block(ws, azure):
    added(ws, azure)
    azure.faults = [Fault(images=0)]
    error = error_of(ws.generate("a fox", model=MODEL, partial_images=0))
    # What its prompt took is billed.
    assert (error.kind, error.charged, azure.images_charged) == ("blocked", True, 0)


@pytest.mark.req("PRV-7")
def test_a_key_is_nowhere_after_everything_went_wrong(workspace_home, monkeypatch, caplog, capfd):
    with AzureEmulator(DEPLOYED, key=CANARY) as server:
        monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", server.url)
        monkeypatch.setenv("AZURE_OPENAI_API_KEY", CANARY)
        monkeypatch.setenv("AZURE_OPENAI_DEPLOYMENTS", "pictures=gpt-image-2")
        shown = []
        with wb.open(workspace_home / "ws", user="ada") as ws:
            ws.add_provider(AzureOpenAI())
            for fault in (
                None,
                Fault(status=401, body=f'{{"error": {{"message": "key {CANARY}"}}}}'.encode()),
                Fault(status=400, body=f'{{"error": {{"message": "key {CANARY}"}}}}'.encode()),
                Fault(reset_after=0),
            ):
                server.faults = [fault]
                batch = ws.generate("a fox", model="azure:pictures").wait(30)
                shown += [repr(batch), batch.to_python()]
                shown += [repr(g) + repr(g.error) + g.detail for g in batch.all_generations()]
            provider = ws._engine.registry.providers["azure"]
            shown += [repr(provider), repr(vars(provider)), repr(ws.providers())]
        assert_nowhere(CANARY, [*shown, caplog.text, *capfd.readouterr()], workspace_home)


# -- a client that is not ours --------------------------------------------------------------------


@pytest.fixture
def official(azure):
    from openai import AzureOpenAI as Official

    with Official(
        api_key=azure.key, azure_endpoint=azure.url, api_version=USUAL_VERSION, max_retries=0
    ) as client:
        yield client


@pytest.mark.req("PRV-2")
def test_the_official_client_asks_as_we_do(ws, azure, official):
    added(ws, azure)
    given = {"quality": "high", "background": "opaque", "partial_images": 2}
    ended(ws.generate("a fox", model=MODEL, width=1024, height=1536, **given))
    events = list(
        official.images.generate(
            model="pictures",
            prompt="a fox",
            n=1,
            size="1024x1536",
            output_format="png",
            stream=True,
            **given,
        )
    )
    ours, theirs = azure.requests
    assert ours.json() == theirs.json()
    assert ours.path == theirs.path
    assert ours.headers["api-key"] == theirs.headers["api-key"]
    assert base64.b64decode(events[-1].b64_json) == png("a fox|0")
    edited = official.images.edit(
        model="pictures", prompt="a hat", image=[("a.png", io.BytesIO(png("a")), "image/png")]
    )
    assert base64.b64decode(edited.data[0].b64_json) == png("a hat|0")
    ended(ws.generate("a hat", model=MODEL, references=[png("a")], partial_images=0))
    theirs, ours = azure.requests[2:]
    assert ours.path == theirs.path == PATH.replace("generations", "edits")


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(status=401, code="401"), "AuthenticationError"),
        (Fault(status=404, code="DeploymentNotFound"), "NotFoundError"),
        (Fault(status=429), "RateLimitError"),
        (Fault(status=400, code="content_policy_violation"), "BadRequestError"),
    ],
    ids=repr,
)
def test_the_official_client_meets_the_same_faults(azure, official, fault, error):
    import openai as sdk

    azure.faults = [fault]
    with pytest.raises(getattr(sdk, error)) as caught:
        official.images.generate(model="pictures", prompt="a fox")
    assert json.loads(caught.value.response.content)["error"]["code"] == (fault.code or "429")
