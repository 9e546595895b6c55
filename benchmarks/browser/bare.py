"""As little as an anywidget can be. A module of its own: importing it loads nothing else."""

from __future__ import annotations

from typing import Any

import anywidget
import traitlets


class Bare(anywidget.AnyWidget):
    """A trait, a button, an answer."""

    _esm = """
    export default { render({ model, el }) {
      const button = document.createElement("button");
      button.className = "bench-bare";
      button.textContent = "bare";
      button.dataset.answers = "0";
      const show = () => { button.dataset.progress = String(model.get("value")); };
      model.on("change:value", show);
      model.on("msg:custom", (message) => {
        if (message.live) button.dataset.live = "";
        else button.dataset.answers = String(message.answers);
      });
      button.addEventListener("click", () => model.send({ click: true }));
      show();
      el.append(button);
      model.send({ live: true });
    } };
    """
    value = traitlets.Int(0).tag(sync=True)

    def __init__(self) -> None:
        super().__init__()
        self._answers = 0
        self.on_msg(self._heard)

    def _heard(self, _widget: object, message: dict[str, Any], _buffers: object) -> None:
        if "live" in message:
            self.send({"live": True})
        else:
            self._answers += 1
            self.send({"answers": self._answers})
