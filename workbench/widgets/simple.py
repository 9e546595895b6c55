"""What a simple widget tells its pages: of the parameters only those that its pages may set.

Hidden parameters, and in a simple widget advanced ones, are for the author of the page. Visitors
see neither the controls nor the values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from workbench.domain.parameters import Model, Parameter
from workbench.domain.records import GenerationRecord
from workbench.widgets.protocol import CONFIG

if TYPE_CHECKING:
    from workbench.workspace.workspace import Workspace

_SIZES = ("width", "height")


def settable(parameter: Parameter, *, simple: bool) -> bool:
    """Tell whether a page may show and set a parameter."""
    return not (parameter.hidden or (simple and parameter.advanced))


class Shown:
    """Leaves out what pages are not to see; of a widget that is not simple, nothing.

    Parameters
    ----------
    workspace:
        Whose models say which parameters are open.
    simple:
        Whether the widget is simple.
    """

    def __init__(self, workspace: Workspace, *, simple: bool) -> None:
        self._workspace = workspace
        self.simple = simple
        self._models: dict[str, Model] | None = None  # looked up when first needed

    def params(self, model_id: str | None, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return those parameters of a request that a page sees.

        What the model does not know (any more) may have been hidden, and is not shown either.
        """
        if not self.simple:
            return dict(params)
        return {name: value for name, value in params.items() if self._is_open(model_id, name)}

    def record(self, record: GenerationRecord) -> GenerationRecord:
        """Return a record as it may leave in a file."""
        if not self.simple:
            return record
        return replace(record, params=self.params(record.model, record.params))

    def desk(self, desk: Mapping[str, Any]) -> dict[str, Any]:
        """Return the desk (`protocol.DESK`) as pages are told of it."""
        if not self.simple:
            return dict(desk)
        config = dict(desk["config"])
        model_id = config["model"]
        config["params"] = self.params(model_id, config["params"])
        known = self._known().get(model_id)
        for side in _SIZES:
            if known is not None and side in known.parameters and not self._is_open(model_id, side):
                config[side] = None
        dropped = [name for name in desk["dropped"] if self._may_name(name)]
        # The sentence names them all.
        remark = desk["remark"] if len(dropped) == len(desk["dropped"]) else ""
        return {**desk, "config": config, "dropped": dropped, "remark": remark}

    def _known(self) -> dict[str, Model]:
        if self._models is None:
            self._models = {model.id: model for model in self._workspace.models()}
        return self._models

    def _is_open(self, model_id: str | None, name: str) -> bool:
        model = self._known().get(model_id or "")
        parameter = None if model is None else model.parameters.get(name)
        return parameter is not None and settable(parameter, simple=True)

    def _may_name(self, name: str) -> bool:
        """Tell whether a setting of some earlier model may be named: closed in no model here."""
        ready = {info.name for info in self._workspace.providers() if info.state.ready}
        found = [
            model.parameters[name]
            for model in self._known().values()
            if name in model.parameters and model.provider in ready
        ]
        if not found:
            return name in CONFIG
        return all(settable(parameter, simple=True) for parameter in found)
