/** Whether the storage goes with the session, and whether somebody has folded away what says so. */

import { type Signal, signal } from "@preact/signals";

import type { Store } from "../store";

const KEY = "workbench-temporary-folded"; // for as long as this tab is open

/** Banner and header of one store share it. */
const foldedOf = new WeakMap<Store, Signal<boolean>>();

export function useFolded(store: Store): Signal<boolean> {
  let folded = foldedOf.get(store);
  if (folded === undefined) {
    folded = signal(remembered());
    foldedOf.set(store, folded);
  }
  return folded;
}

function remembered(): boolean {
  try {
    return sessionStorage.getItem(KEY) !== null;
  } catch {
    return false; // a browser that keeps nothing shows it again
  }
}

export function fold(folded: Signal<boolean>): void {
  folded.value = true;
  try {
    sessionStorage.setItem(KEY, "1");
  } catch {
    return; // as above
  }
}

export const isTemporary = (store: Store): boolean => store.hello.value?.workspace.temporary ?? false;

/** For the header, while the banner is folded away: brings it back. */
export function useUnfold(store: Store): (() => void) | null {
  const folded = useFolded(store);
  return isTemporary(store) && folded.value ? () => (folded.value = false) : null;
}
