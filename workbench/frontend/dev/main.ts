/** The development page: the real bundle against the stub kernel.
 *
 * ?state=normal|empty|loading|error|feederror|offline|dead|restarting|diskfull|paused|active|failed|huge
 *  and of visitors: refused|few|limited|queue|temporary|ended; &voila=1 (a page of Voilà; &height=0 for
 *  the whole window, the default there) &controls=model,n
 * &theme=light|dark &width=420 &widget=Workbench (several: a,b) &simple=1 &height=720 &hide_below=900
 * &job=3000 (milliseconds a picture takes) &latency=20. `window.kernel` is the stub.
 */

import widget from "../src/index";
import { painted } from "./paint";
import { StubKernel, type StubState } from "./stub_kernel";

const LIGHT = {
  "--jp-layout-color0": "#fff", "--jp-layout-color1": "#fff", "--jp-layout-color2": "#eee",
  "--jp-layout-color3": "#bdbdbd", "--jp-ui-font-color0": "rgba(0,0,0,1)",
  "--jp-ui-font-color1": "rgba(0,0,0,.87)", "--jp-ui-font-color2": "rgba(0,0,0,.54)",
  "--jp-ui-font-color3": "rgba(0,0,0,.38)", "--jp-border-color0": "#bdbdbd",
  "--jp-border-color1": "#bdbdbd", "--jp-border-color2": "#e0e0e0", "--jp-border-color3": "#eee",
  "--jp-brand-color0": "#1565c0", "--jp-brand-color1": "#1976d2", "--jp-brand-color2": "#42a5f5",
  "--jp-error-color1": "#d32f2f", "--jp-warn-color1": "#f57c00", "--jp-success-color1": "#388e3c",
};
const DARK = {
  "--jp-layout-color0": "#111", "--jp-layout-color1": "#212121", "--jp-layout-color2": "#424242",
  "--jp-layout-color3": "#616161", "--jp-ui-font-color0": "rgba(255,255,255,1)",
  "--jp-ui-font-color1": "rgba(255,255,255,.87)", "--jp-ui-font-color2": "rgba(255,255,255,.54)",
  "--jp-ui-font-color3": "rgba(255,255,255,.38)", "--jp-border-color0": "#616161",
  "--jp-border-color1": "#616161", "--jp-border-color2": "#424242", "--jp-border-color3": "#212121",
  "--jp-brand-color0": "#82b1ff", "--jp-brand-color1": "#2196f3", "--jp-brand-color2": "#64b5f6",
  "--jp-error-color1": "#ef5350", "--jp-warn-color1": "#ffa726", "--jp-success-color1": "#66bb6a",
};
const SHARED = {
  "--jp-ui-font-family": 'system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif',
  "--jp-ui-font-size1": "13px", "--jp-code-font-family": "Menlo, Consolas, monospace",
};

const options = new URLSearchParams(location.search);
const state = (options.get("state") ?? "normal") as StubState;
const theme = options.get("theme") ?? "light";
document.body.dataset["jpThemeLight"] = String(theme === "light");
document.body.dataset["jpThemeName"] = theme === "light" ? "JupyterLab Light" : "JupyterLab Dark";
for (const [name, value] of Object.entries({ ...(theme === "light" ? LIGHT : DARK), ...SHARED })) {
  document.body.style.setProperty(name, value);
}

const voila = options.get("voila") === "1";
if (voila) {
  document.body.dataset["voila"] = "voila";
  document.title = "Image workbench";
  document.getElementById("page")!.style.padding = "0";
}
const kernel = new StubKernel({
  voila,
  state, painter: painted, latency: Number(options.get("latency") ?? 20),
  jobMs: Number(options.get("job") ?? 3000),
});
const page = document.getElementById("page")!;
if (options.get("width")) page.style.width = `${options.get("width")}px`;
Object.assign(window, { kernel });

for (const name of (options.get("widget") ?? "Workbench").split(",")) {
  const model = kernel.connect({
    _widget: name, _hash: "dev", height: Number(options.get("height") ?? (voila ? 0 : 720)),
    hide_below: options.get("hide_below") ? Number(options.get("hide_below")) : null,
    simple: (options.get("simple") ?? String(Number(voila))) === "1",
    controls: options.get("controls")?.split(",") ?? null, accent: options.get("accent") ?? "",
  });
  Object.assign(window, { model });
  const el = document.createElement("div");
  page.append(el);
  const made = widget();
  const view = { model, el };
  void made.initialize(view);
  void made.render(view);
  if (state === "dead" || state === "ended" || state === "restarting") {
    setTimeout(() => {
      kernel.drop = () => true;
      if (state === "restarting") {
        model.kernel.status = "restarting";
        model.kernel.statusChanged.emit("restarting");
      } else {
        model.die();
      }
    }, 1200);
  }
}
if (state === "offline") setTimeout(() => { kernel.drop = () => true; }, 1500);
if (state === "diskfull") setTimeout(() => kernel.notice("disk_full", "The disk is nearly full (120 MB left). New pictures wait until there is space."), 800);
