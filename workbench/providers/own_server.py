"""What servers of one's own have in common: an address that has to be set, and no costs."""

from __future__ import annotations

import os
from typing import ClassVar

from workbench.domain.jobs import FREE
from workbench.errors import ConfigurationError
from workbench.ports import ProviderState
from workbench.providers.hosted import Hosted


class OwnServer(Hosted):
    """Base of a provider whose server is one's own; see `workbench.providers.hosted.Hosted`.

    Attributes
    ----------
    how_to_set:
        What to do where no address is set: a sentence.

    Examples
    --------
    >>> class Attic(OwnServer):
    ...     title, how_to_set = "Attic", "Say where it is."
    >>> Attic("attic").state().message, Attic("attic", base_url="http://10.0.0.7").state().ready
    ('Say where it is.', True)
    """

    needs_key = False
    idempotency = FREE
    how_to_set: ClassVar[str] = ""

    def state(self) -> ProviderState:
        """Ready where there is an address. It asks nobody."""
        if self._is_unset():
            return ProviderState(False, "unreachable", self.how_to_set)
        return super().state()

    def _is_unset(self) -> bool:
        if self._base_url is not None or self._set_base_url is not None:
            return False
        return not os.environ.get(self.address_variable, "").strip()

    def _base(self) -> str:
        if self._is_unset():
            raise ConfigurationError(self.how_to_set)
        return super()._base()
