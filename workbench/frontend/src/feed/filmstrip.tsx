/** The neighbours of the picture in view, small; windowed around it. */

import { useLayoutEffect, useRef } from "preact/hooks";

import { useThumb } from "../pictures";
import type { GenerationRow } from "../protocol";
import type { Store } from "../store";
import { feedText } from "../texts_feed";
import type { Walk } from "./walk";

const AROUND = 14; // to each side

export function Filmstrip({ store, walk }: { store: Store; walk: Walk }) {
  const strip = useRef<HTMLDivElement>(null);
  const ids = walk.ids.value;
  const place = walk.place.value;
  const first = Math.max(0, place - AROUND);
  const shown = ids.slice(first, place + AROUND + 1);
  const current = walk.current.value;
  useLayoutEffect(() => {
    const element = strip.current;
    const item = element?.querySelector<HTMLElement>("[aria-current=true]");
    if (!element || !item) return;
    const left = item.offsetLeft + item.offsetWidth / 2 - element.clientWidth / 2;
    element.scrollLeft = left;
  }, [current, first, shown.length]);
  if (ids.length < 2) return <div class="wbx-strip" />;
  return (
    <div class="wbx-strip" ref={strip} role="group" aria-label={feedText("box.strip")}>
      {shown.map((id, at) => {
        const row = walk.row(id);
        return (
          <button
            key={id}
            type="button"
            class="wbx-strip-item"
            tabIndex={id === current ? 0 : -1}
            aria-current={id === current}
            aria-label={feedText("box.strip_item", { index: walk.before.value + first + at + 1 })}
            onClick={() => walk.go(id)}
          >
            {row ? <Small store={store} row={row} /> : null}
          </button>
        );
      })}
    </div>
  );
}

function Small({ store, row }: { store: Store; row: GenerationRow }) {
  const { url } = useThumb(store, row, 256);
  return url ? <img src={url} alt="" decoding="async" draggable={false} /> : null;
}
