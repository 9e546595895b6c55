/** The element that every widget lives in: theme, keys, tooltips, messages, link notes. */

import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";

import { guardKeys, isUndo } from "../keys";
import { fillsPage, type Traits } from "../model";
import type { Store } from "../store";
import { DIRECTION, LANGUAGE } from "../texts";
import { Ended } from "../widgets/ended";
import { LiveRegion } from "./live";
import { followTheme, setAccent } from "./theme";
import { Toasts } from "./toast";
import { Tips } from "./tooltip";

interface RootProps {
  store: Store;
  traits: Traits;
  children: ComponentChildren;
}

export function Root({ store, traits, children }: RootProps) {
  const root = useRef<HTMLDivElement>(null);
  const narrow = useSignal(false);
  const hideBelow = traits.hideBelow.value;
  const accent = traits.accent.value;
  useLayoutEffect(() => followTheme(root.current!), []);
  useLayoutEffect(() => setAccent(root.current!, accent), [accent]);
  useLayoutEffect(() => {
    const element = root.current!;
    const look = (): void => {
      narrow.value = hideBelow !== null && element.clientWidth < hideBelow;
    };
    look();
    const observer = new ResizeObserver(look);
    observer.observe(element);
    return () => observer.disconnect();
  }, [hideBelow]);
  useEffect(() => guardKeys(root.current!), []);
  return (
    <div
      ref={root}
      class={fillsPage(traits) ? "wbx wbx-page" : "wbx"}
      data-widget={traits.widget}
      data-link={store.link.value}
      data-simple={traits.simple.value ? "" : undefined}
      lang={LANGUAGE}
      dir={DIRECTION}
      onKeyDown={(event) => {
        // The button of the message may be many stops of the Tab key away, and goes after a while.
        if (!event.defaultPrevented && isUndo(event) && undoLatest(store)) event.preventDefault();
      }}
    >
      {narrow.value ? null : children}
      {/* While the lightbox is open it shows these itself: nothing else can be clicked or read. */}
      {store.lightbox.value === null ? (
        <>
          <Toasts store={store} />
          <LiveRegion store={store} />
        </>
      ) : null}
      <Ended store={store} />
      <Tips />
    </div>
  );
}

/** Take back what the latest message with an undo told; false if there is none. */
function undoLatest(store: Store): boolean {
  const toast = store.toasts.peek().findLast((one) => one.undo);
  if (toast?.undo === undefined) return false;
  store.dismiss(toast.id);
  void toast.undo();
  return true;
}
