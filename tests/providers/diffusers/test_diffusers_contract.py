"""The suite that every provider passes, with a tiny pipeline."""

from __future__ import annotations

import pytest

from tests.providers.diffusers.world import HAS_TORCH, NO_TORCH
from workbench.providers.local_diffusers import Diffusers
from workbench.testing.provider_contract import ProviderContract

if not HAS_TORCH:
    pytest.skip(NO_TORCH, allow_module_level=True)


@pytest.mark.req("PRV-3")
class TestContract(ProviderContract):
    deterministic = True
    every_value = False  # pictures of 4096 pixels among them

    @classmethod
    def leaves_out(cls):
        why = "it has no key, and no references that another process could follow"
        names = ("test_no_key_is_in_any_text", "test_a_reference_is_followed_by_another_process")
        return super().leaves_out() | dict.fromkeys(names, why)

    @pytest.fixture(autouse=True)
    def _pipelines(self, tiny):
        self.folder = tiny

    def make_provider(self):
        return Diffusers(models={"tiny": self.folder}, device="cpu")
