/** One store may be shown in several places of a page ("new view for output"), but a modal dialog
 *  may open only once: in the place where somebody is, else in one that can be seen. */

import { useLayoutEffect, useRef } from "preact/hooks";

type Place = { current: HTMLElement | null };

const places = new WeakMap<object, Set<Place>>();

function chosen(all: ReadonlySet<Place>): Place | undefined {
  const list = [...all];
  const root = (place: Place): Element | null => place.current?.closest(".wbx") ?? null;
  const focus = document.activeElement;
  return (
    list.find((place) => focus !== null && (root(place)?.contains(focus) ?? false)) ??
    list.find((place) => root(place)?.checkVisibility?.() ?? false) ??
    list[0]
  );
}

/** @returns a ref for an element of this place, and whether it is this place's turn. */
export function useOneView(store: object, wanted: boolean): { place: Place; mine: boolean } {
  const place = useRef<HTMLElement>(null);
  const mine = useRef(false);
  useLayoutEffect(() => {
    const all = places.get(store) ?? new Set<Place>();
    places.set(store, all.add(place));
    return () => void all.delete(place);
  }, [store]);
  // Decided when it opens, and kept: the dialog itself takes the focus.
  const was = useRef(false);
  if (wanted && !was.current) {
    const all = places.get(store);
    mine.current = all === undefined || all.size < 2 || chosen(all) === place;
  }
  was.current = wanted;
  return { place, mine: wanted && mine.current };
}
