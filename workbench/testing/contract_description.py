"""The part of the contract of providers that needs no job: what a provider says about itself."""

from __future__ import annotations

import unittest
from importlib.metadata import entry_points
from typing import Any

from workbench.testing import provider_checks as checks
from workbench.testing.contract_base import ContractBase, asked_nobody, quickly
from workbench.testing.provider_checks import expect
from workbench.testing.watching import NetworkWatch

GROUP = "workbench.providers"


class DescriptionContract(ContractBase):
    """Tests of name, limits, state and models; `ProviderContract` has the others."""

    def test_it_has_the_protocol(self) -> None:
        """Everything that `workbench.ports.Provider` names is there."""
        checks.check_protocol(self.make_provider())

    def test_its_name_title_and_help_can_be_shown(self) -> None:
        """The name is part of model ids, title and help are read by people."""
        provider: Any = self.make_provider()
        expect(
            isinstance(provider.name, str) and checks.NAME.fullmatch(provider.name),
            f"The name is {provider.name!r}.",
            "1 to 40 of a-z, 0-9, '-' and '_'; it becomes part of '<provider>:<model>'.",
        )
        expect(
            isinstance(provider.title, str) and 1 <= len(provider.title.strip()) <= 60,
            f"The title is {provider.title!r}.",
            "Give a short one, as people know the service.",
        )
        checks.check_sentence(provider.help, "help")

    def test_its_limits_make_sense(self) -> None:
        """Idempotency, concurrency, deadline."""
        checks.check_limits(self.make_provider())

    def test_making_it_is_quick_and_asks_nobody(self) -> None:
        """Plugins are made whenever a workspace is opened."""
        with NetworkWatch() as watch:
            quickly(self.make_provider, "Making the provider", limit_s=1.0)
        asked_nobody(watch, "Making the provider")

    def test_its_entry_point_finds_it(self) -> None:
        """The installed package names a class that can be made without arguments."""
        found = [one for one in entry_points(group=GROUP) if one.name == self.entry_point]
        expect(
            len(found) == 1,
            f"There are {len(found)} entry points {self.entry_point!r} in the group {GROUP!r}.",
            f'Install the package, with [project.entry-points."{GROUP}"] in its pyproject.toml.',
        )
        made = found[0].load()()
        checks.check_protocol(made)
        checks.check_state(made.state())
        checks.check_models(made, list(made.models()))

    def test_its_state_is_told_at_once_and_asks_nobody(self) -> None:
        """The panel asks for it whenever it is shown."""
        provider = self.make_provider()
        with NetworkWatch() as watch:
            state = quickly(provider.state, "state()")
        asked_nobody(watch, "state()")
        checks.check_state(state)
        expect(
            state.ready,
            f"The provider of make_provider() is not ready: {state.message}",
            "Make one that can be used; make_unready() is for the other kind.",
        )

    def test_what_is_missing_is_said(self) -> None:
        """Without its key a provider is listed, and every job fails in a sentence."""
        provider = self.make_unready()
        if provider is None:
            raise unittest.SkipTest("make_unready() gives none: it needs nothing")
        with NetworkWatch() as watch:
            state = quickly(provider.state, "state()")
        asked_nobody(watch, "state()")
        checks.check_state(state)
        expect(not state.ready, "state() says ready.", "Say what is missing: ready=False.")
        request = self.job_request(self.make_provider())
        error = self.run(lambda one: self.failure_of(one, request), provider)
        checks.check_error(error)

    def test_its_models_are_told_at_once_and_ask_nobody(self) -> None:
        """They are listed in panels; a list that comes over the network is fetched elsewhere."""
        provider = self.make_provider()
        with NetworkWatch() as watch:
            models = list(quickly(provider.models, "models()"))
        asked_nobody(watch, "models()")
        expect(models, "models() is empty.", "A provider that is ready offers something.")
        checks.check_models(provider, models)
        again = [model.id for model in provider.models()]
        expect(
            again == [model.id for model in models],
            "models() gives another list the second time.",
            "Keep the order; it is the one that people see.",
        )
