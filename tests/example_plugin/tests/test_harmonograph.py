"""The contract of providers, and what is this one's own."""

from typing import Any

import pytest
from workbench_harmonograph import Harmonograph

import workbench as wb
from workbench.domain.jobs import JobRequest
from workbench.domain.parameters import Model
from workbench.domain.status import ErrorKind
from workbench.ports import Provider
from workbench.testing.provider_contract import ProviderContract


class TestHarmonograph(ProviderContract):
    entry_point = "harmonograph"
    deterministic = True

    def make_provider(self) -> Provider:
        return Harmonograph()

    def params(self, model: Model) -> dict[str, Any]:
        return {"width": 64, "height": 64, "swings": 5}

    def refusals(self, request: JobRequest) -> list[tuple[JobRequest, ErrorKind]]:
        return [(self.job_request(self.make_provider(), prompt=" ... "), ErrorKind.BAD_REQUEST)]


@pytest.fixture
def ws(tmp_path):
    with wb.open(tmp_path / "ws", user="ann") as workspace:
        yield workspace


def test_every_workspace_finds_it(ws):
    batch = ws.generate("a calm evening", model="pendulum", n=2, width=96, height=64).wait(60)
    assert batch.status == "completed"
    assert {generation.image.size for generation in batch.generations} == {(96, 64)}
    assert ws.doctor().ok


def test_words_mix_the_inks_and_paper_can_be_chosen(ws):
    def corner(prompt, **params):
        batch = ws.generate(prompt, model="pendulum", seed=1, width=64, height=64, **params).wait(
            60
        )
        image = batch.generations[0].image
        return image.getpixel((0, 0)), image.tobytes()

    assert corner("calm")[0] == (14, 16, 26)
    assert corner("calm", paper="light")[0] == (250, 247, 240)
    assert corner("calm")[1] != corner("storm")[1]


def test_what_makes_no_sense_is_a_sentence(ws):
    (generation,) = ws.generate("?", model="pendulum").wait(60).generations
    assert generation.error.kind == "bad_request"
    assert generation.error.message == "Write a word or two; they mix the inks."
