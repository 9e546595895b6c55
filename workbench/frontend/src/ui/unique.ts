/** Ids for `for` and `aria-labelledby`. Preact's own repeat from widget to widget of a page. */

import { useRef } from "preact/hooks";

const bundle = Math.random().toString(36).slice(2, 8); // several bundles may live in one page
let count = 0;

export function useUnique(): string {
  const id = useRef("");
  if (id.current === "") id.current = `wbx-${bundle}-${(count += 1)}`;
  return id.current;
}
