"""A ComfyUI workflow as a model: which inputs of its nodes are the prompt, the seed and so on.

A workflow is a graph in the format that ComfyUI's menu calls "Export (API)": nodes by id, each with
a class and with inputs that are values or links to other nodes. What can be set is declared, as
``"6.text"`` (node 6, its input text), or guessed where the common nodes leave no doubt. What was
not found is told in the model's help; a workflow without a prompt is no model.

::

    {"workflow": "portrait.json",            # a path, or the graph itself
     "inputs": {"prompt": "6.text", "seed": ["3.seed", "14.noise_seed"],
                "steps": {"at": "3.steps", "default": 20, "maximum": 60},
                "style": {"at": "12.strength_model", "label": "Strength of the style"}},
     "output": "9", "title": "Portrait", "help": "…"}
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.domain.jobs import JobRequest
from workbench.domain.records import JsonValue
from workbench.errors import ConfigurationError, InvalidRequest
from workbench.providers.comfyui_guess import Place, all_texts, guessed, sorted_ids

# What is no parameter of a model, but has a place of its own in a request.
OURS = ("prompt", "negative_prompt", "seed", "references", "source", "mask")
_IMAGES = ("references", "source", "mask")
_DESCRIPTION = {"workflow", "inputs", "output", "title", "help", "operations"}
_MAX_FILE_BYTES = 5_000_000
_LARGEST_SIDE = 4096

# How the settings that are guessed are shown; their order is that of the panel.
_SHOWN: Mapping[str, dict[str, Any]] = {
    "steps": {"kind": "integer", "minimum": 1, "maximum": 150},
    "guidance": {"kind": "number", "minimum": 0, "maximum": 30, "step": 0.1},
    "strength": {"kind": "number", "minimum": 0, "maximum": 1, "step": 0.01},
    "sampler": {"kind": "text", "advanced": True},
    "scheduler": {"kind": "text", "advanced": True},
    "checkpoint": {"kind": "text", "advanced": True},
    "diffusion_model": {"kind": "text", "advanced": True},
}

NodeErrors = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Workflow:
    """A graph, and where what is asked for goes.

    Attributes
    ----------
    name:
        of the model.
    graph:
        nodes by id.
    places:
        of each thing that can be set: the inputs that get it.
    first_of:
        for a parameter that is left empty: the folder of models whose first one is taken.
    outputs:
        nodes whose pictures count; empty: all of them.
    """

    name: str
    graph: Mapping[str, Any]
    places: Mapping[str, tuple[Place, ...]]
    first_of: Mapping[str, str] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()

    def filled(
        self,
        request: JobRequest,
        *,
        images: Mapping[str, Sequence[str]],
        found: Mapping[str, JsonValue],
    ) -> dict[str, Any]:
        """Return the graph with what is asked for.

        Parameters
        ----------
        request:
            With one slot.
        images:
            Names of uploaded files by what they are: references, source, mask.
        found:
            Values for parameters that were left empty.
        """
        values: dict[str, JsonValue] = {
            **request.params,
            **found,
            "width": request.width,
            "height": request.height,
            "prompt": request.prompt,
            "negative_prompt": request.negative_prompt,
            "seed": request.slots[0].seed,
        }
        graph: dict[str, Any] = copy.deepcopy(dict(self.graph))
        for name, places in self.places.items():
            if name in _IMAGES:
                for (node, port), file in zip(places, images.get(name, ()), strict=False):
                    graph[node]["inputs"][port] = file
            elif values.get(name) is not None:
                for node, port in places:
                    graph[node]["inputs"][port] = values[name]
        return graph

    def complaint(
        self, node_errors: NodeErrors, clean: Callable[[str], str]
    ) -> InvalidRequest | None:
        """Return the error of the first input that the server refused and that can be set here."""
        named = {place: name for name, places in self.places.items() for place in places}
        for node, error in _errors_of(node_errors):
            port = _dictionary(error.get("extra_info")).get("input_name")
            name = named.get((node, str(port)))
            if name is not None:
                return InvalidRequest(name, f"ComfyUI refused it. {clean(_said_by(error))}")
        return None

    def pictures(self, outputs: object) -> list[dict[str, str]]:
        """Return the files that the nodes left: those to be kept, else the temporary ones.

        Parameters
        ----------
        outputs:
            of the server's history: by node, lists of files.
        """
        found: list[dict[str, str]] = []
        given = _dictionary(outputs)
        for node in sorted_ids(given):
            if self.outputs and node not in self.outputs:
                continue
            files = _dictionary(given[node]).get("images")
            for file in files if isinstance(files, list) else ():
                name = _dictionary(file).get("filename")
                if isinstance(name, str) and name:
                    parts = {key: file.get(key) for key in ("subfolder", "type")}
                    found.append(
                        {"filename": name}
                        | {key: text for key, text in parts.items() if isinstance(text, str)}
                    )
        kept = [file for file in found if file.get("type") == "output"]
        return kept or found


def workflow_of(name: str, send: Mapping[str, Any]) -> Workflow:
    """Return the workflow of a catalogue's entry ("workflow", "inputs", "output").

    Raises
    ------
    ConfigurationError
        It names something that is not in the graph.
    """
    graph = _graph_in(name, send.get("workflow"))
    places: dict[str, tuple[Place, ...]] = {}
    first_of: dict[str, str] = {}
    for what, given in _dictionary(send.get("inputs")).items():
        places[what] = tuple(_place(name, graph, text) for text in _texts_in(name, what, given))
        if isinstance(given, dict) and isinstance(given.get("first_of"), str):
            first_of[what] = given["first_of"]
    outputs = send.get("output") or ()
    outputs = (outputs,) if isinstance(outputs, str) else tuple(str(one) for one in outputs)
    for node in outputs:
        if node not in graph:
            raise _wrong(name, f"has no node {node} for its output")
    return Workflow(name, graph, places, first_of, outputs)


def described(name: str, given: object) -> dict[str, Any]:
    """Return a workflow as a model of a data file (see `workbench.providers.catalogue`).

    Parameters
    ----------
    name:
        What the model is to be called.
    given:
        A path, a graph, or a description with "workflow" and more.

    Raises
    ------
    ConfigurationError
        It cannot be read, or it cannot be said which of its inputs is the prompt.

    Examples
    --------
    >>> graph = {"6": {"class_type": "CLIPTextEncode", "inputs": {"text": "", "clip": ["4", 1]}}}
    >>> described("mine", graph)["send"]["inputs"]
    {'prompt': ['6.text']}
    """
    told = _description(name, given)
    graph = _graph_in(name, told.get("workflow"))
    declared = _dictionary(told.get("inputs"))
    for what, where in declared.items():
        for text in _texts_in(name, what, where):
            _place(name, graph, text)
    found, unsure = guessed(graph)
    for node in graph.values():
        if node["class_type"].startswith("Empty") and "batch_size" in node["inputs"]:
            node["inputs"]["batch_size"] = 1  # one job makes one picture
    inputs: dict[str, Any] = {
        what: {"at": [f"{node}.{port}" for node, port in places]}
        for what, places in found.items()
        if what not in declared
    }
    inputs |= {what: where for what, where in declared.items() if where is not None}
    if "prompt" not in inputs and "prompt" not in declared:
        places = unsure.get("prompt") or all_texts(graph)
        shown = ", ".join(f"{node}.{port}" for node, port in places[:8]) or "none was found"
        raise _wrong(
            name,
            "does not say which of its inputs is the prompt. Name it, for example "
            f'"inputs": {{"prompt": "6.text"}}. Inputs that hold text: {shown}',
        )
    open_ends = {what: places for what, places in unsure.items() if what not in declared}
    takes = [what for what in _IMAGES if inputs.get(what)]
    pictures = len(_texts_in(name, "references", inputs.get("references")))
    return {
        "name": name,
        "title": str(told.get("title") or name),
        "help": _help(str(told.get("help") or ""), inputs, open_ends),
        "operations": told.get("operations") or _operations(takes),
        "free": True,
        "previews": True,
        "seeds": "seed" in inputs,
        "negative_prompt": "negative_prompt" in inputs,
        "max_references": pictures,
        "parameters": {
            what: _parameter(name, graph, what, inputs[what])
            for what in _in_order(inputs)
            if what not in OURS
        },
        "send": {
            "workflow": graph,
            "inputs": {
                what: _texts_in(name, what, where)
                if not isinstance(where, dict) or "first_of" not in where
                else {"at": _texts_in(name, what, where), "first_of": where["first_of"]}
                for what, where in inputs.items()
            },
            "output": told.get("output") or (),
        },
    }


# -- reading --------------------------------------------------------------------------------------


def _description(name: str, given: object) -> dict[str, Any]:
    if isinstance(given, (str, Path)):
        given = _read(name, Path(given))
    if not isinstance(given, Mapping):
        raise _wrong(name, "must be a path, a graph, or an object with a 'workflow'")
    told = dict(given)
    if "workflow" not in told:
        return {"workflow": told}
    strange = set(told) - _DESCRIPTION
    if strange:
        raise _wrong(
            name, f"has the unknown part {min(strange)!r}; known: {', '.join(sorted(_DESCRIPTION))}"
        )
    if isinstance(told["workflow"], (str, Path)):
        told["workflow"] = _read(name, Path(told["workflow"]))
    return told


def _read(name: str, path: Path) -> Any:
    path = path.expanduser()
    try:
        if path.stat().st_size > _MAX_FILE_BYTES:
            raise _wrong(name, f"is in a file of more than {_MAX_FILE_BYTES:,} bytes")
        return json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise _wrong(name, f"cannot be read from {path.name}: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise _wrong(name, f"is not JSON in {path.name}") from None


def _graph_in(name: str, value: object) -> dict[str, Any]:
    sent = value.get("prompt") if isinstance(value, Mapping) else None
    if isinstance(sent, Mapping) and "class_type" not in sent:
        value = sent  # a whole request as it was sent, and no node of that name
    if isinstance(value, Mapping) and isinstance(value.get("nodes"), list):
        raise _wrong(
            name,
            "is saved for ComfyUI's own page. Export it there with Workflow > Export (API) and use "
            "that file",
        )
    if not isinstance(value, Mapping) or not value:
        raise _wrong(name, "holds no graph in ComfyUI's API format")
    graph = {str(id): node for id, node in value.items()}
    for id, node in graph.items():
        if not isinstance(node, Mapping) or not isinstance(node.get("class_type"), str):
            raise _wrong(name, f"has a node {id} without a class_type; export it with Export (API)")
        if not isinstance(node.get("inputs", {}), Mapping):
            raise _wrong(name, f"has a node {id} whose inputs are no object")
    return {id: {**node, "inputs": dict(node.get("inputs", {}))} for id, node in graph.items()}


def _place(name: str, graph: Mapping[str, Any], text: str) -> Place:
    """Read "6.text"; a node may be named by its title, if only one has it."""
    for at, character in enumerate(text):
        if character != ".":
            continue
        wanted, port = text[:at], text[at + 1 :]
        titled = [id for id, node in graph.items() if _title(node) == wanted]
        node = wanted if wanted in graph else titled[0] if len(titled) == 1 else None
        if node is None:
            continue
        inputs = graph[node]["inputs"]
        if port not in inputs:
            known = ", ".join(inputs) or "none"
            kind = graph[node]["class_type"]
            raise _wrong(name, f"has no input {text!r}; node {node} ({kind}) has: {known}")
        return node, port
    raise _wrong(name, f"has no input {text!r}; write the node's id and the input, as in '6.text'")


def _texts_in(name: str, what: str, given: object) -> list[str]:
    if isinstance(given, Mapping):
        given = given.get("at")
    if given is None:
        return []
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, (list, tuple)) or not all(isinstance(one, str) for one in texts):
        raise _wrong(name, f"must say where {what!r} goes, as in '6.text' or ['6.text', '7.text']")
    return list(texts)


def _wrong(name: str, what: str) -> ConfigurationError:
    return ConfigurationError(f"The workflow {name!r} {what}.")


# -- telling --------------------------------------------------------------------------------------


def _parameter(name: str, graph: Mapping[str, Any], what: str, given: object) -> dict[str, Any]:
    node, port = _place(name, graph, _texts_in(name, what, given)[0])
    value = graph[node]["inputs"][port]
    spec: dict[str, Any] = {"kind": _kind_of(value), "default": value}
    if what in ("width", "height"):
        side = value if isinstance(value, int) else 1024
        step = 8 if side % 8 == 0 and side >= 16 else 1
        spec |= {"minimum": 16, "maximum": max(_LARGEST_SIDE, side), "step": step}
    elif what in _SHOWN:
        spec |= _SHOWN[what]
        if isinstance(value, (int, float)) and "maximum" in spec:
            spec["maximum"] = max(spec["maximum"], value)
    if isinstance(spec["default"], (list, dict)) or spec["default"] is None:
        del spec["default"]  # a link: it is cut only where a value is given
    own = given if isinstance(given, Mapping) else {}
    return spec | {key: value for key, value in own.items() if key not in ("at", "first_of")}


def _kind_of(value: object) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    return "number" if isinstance(value, float) else "text"


def _in_order(inputs: Mapping[str, Any]) -> list[str]:
    order = ["width", "height", *_SHOWN]
    return sorted(inputs, key=lambda what: order.index(what) if what in order else len(order))


def _operations(takes: Sequence[str]) -> list[str]:
    if not takes:
        return ["generate"]
    return ["edit", "inpaint"] if "mask" in takes else ["edit"]


def _help(text: str, inputs: Mapping[str, Any], unsure: Mapping[str, Sequence[Place]]) -> str:
    sentences = [text.strip() or "A workflow of yours."]
    for what, places in unsure.items():
        shown = " or ".join(f"{node}.{port}" for node, port in places[:6])
        sentences.append(f"Its {what.replace('_', ' ')} could not be guessed: it may be {shown}.")
    if unsure:
        example = next(iter(unsure))
        node, port = unsure[example][0]
        sentences.append(f'Name it where you add the workflow: "{example}": "{node}.{port}".')
    if "seed" not in inputs:
        sentences.append("It has no seed: the same request gives the same picture.")
    return " ".join(sentences)


def complaints(node_errors: NodeErrors) -> Iterator[str]:
    """Yield what the server finds wrong in a graph, a sentence each."""
    for node, error in _errors_of(node_errors):
        kind = _dictionary(node_errors.get(node)).get("class_type")
        yield f"Node {node} ({kind}): {_said_by(error)}"


def _errors_of(node_errors: NodeErrors) -> Iterator[tuple[str, dict[str, Any]]]:
    for node in sorted_ids(_dictionary(node_errors)):
        errors = _dictionary(node_errors[node]).get("errors")
        for error in errors if isinstance(errors, list) else ():
            yield node, _dictionary(error)


def _said_by(error: Mapping[str, Any]) -> str:
    message, details = error.get("message"), error.get("details")
    parts = [text for text in (message, details) if isinstance(text, str) and text]
    return f"{': '.join(parts)}."


def _title(node: Mapping[str, Any]) -> str:
    return str(_dictionary(node.get("_meta")).get("title") or "")


def _dictionary(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
