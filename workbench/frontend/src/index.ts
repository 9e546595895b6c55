/** What anywidget loads: one store for each model on the page, one tree of components for each view.
 *
 *  The default export is a function that anywidget calls once per model: `initialize` and `render`
 *  get different proxies of the model, so nothing but this closure says that they belong together.
 */

import { h, render as draw } from "preact";

import { hideSheet } from "./hidden_sheet";
import { type Model, type Traits, traitsOf } from "./model";
import { shelf, type Whole } from "./shared";
import { Store } from "./store";
import { addStyles } from "./styles";
import { t } from "./texts";
import { Boundary } from "./ui/boundary";
import { Root } from "./ui/root";
import { COMPONENTS, NEEDS } from "./widgets/table";

interface Shared { store: Store; traits: Traits; dispose(): void }

function open(model: Model): Shared {
  const { traits, dispose } = traitsOf(model);
  const store = new Store(model, traits); // says hello
  store.bring(NEEDS[traits.widget] ?? { now: [], later: [] });
  return {
    store,
    traits,
    dispose: () => {
      dispose();
      store.dispose();
    },
  };
}

function mount({ store, traits }: Shared, el: HTMLElement): () => void {
  const forget = addStyles(el);
  let showSheet: (() => void) | undefined;
  const stop = store.hello.subscribe((hello) => {
    // Only what a kernel answers for takes the place of what was saved.
    if (hello !== null) showSheet ??= hideSheet(el);
  });
  const component = COMPONENTS[traits.widget];
  const content = component
    ? h(component, { store, traits })
    : t("error.widget_unknown", { name: traits.widget });
  draw(h(Root, { store, traits, children: h(Boundary, null, content) }), el);
  return () => {
    draw(null, el);
    forget();
    stop();
    showSheet?.();
  };
}

export default function widget(): {
  initialize(context: { model: Model }): () => void;
  render(context: { model: Model; el: HTMLElement }): () => void;
} {
  let shared: Shared | null = null;
  return {
    initialize({ model }) {
      // The other widgets of the page carry only a loader, and take the bundle from here.
      shelf(String(model.get("_hash"))).give(widget as Whole);
      const own = open(model);
      shared = own;
      return () => {
        own.dispose();
        if (shared === own) shared = null;
      };
    },
    render({ model, el }) {
      // A host that does not call `initialize`: then the view has a store of its own.
      const own = shared === null ? open(model) : null;
      const unmount = mount(shared ?? (own as Shared), el);
      return () => {
        unmount();
        own?.dispose();
      };
    },
  };
}
