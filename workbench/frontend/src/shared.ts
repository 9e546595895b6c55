/** One bundle for all widgets of a page, whichever of them brings it.
 *
 *  Every `_esm` is a module of its own, so they cannot share anything but what lies on globalThis.
 *  The key is the hash of the bundle: two versions in one page keep apart.
 */

/** What the bundle exports: called once for each model, and once for each place it is shown in. */
export interface Widget {
  initialize(context: object): unknown;
  render(context: object): unknown;
}
export type Whole = Widget | (() => Widget | Promise<Widget>);

export interface Shelf {
  whole: Promise<Whole>;
  give(whole: Whole): void;
  /** A loader has asked the kernel for it. */
  asked: boolean;
  /** A widget that carries it is unpacking it. */
  made?: Promise<Whole>;
}

const page = globalThis as { __wbx?: Record<string, Shelf> };

export function shelf(hash: string): Shelf {
  const shelves = (page.__wbx ??= {});
  return (shelves[hash] ??= empty());
}

function empty(): Shelf {
  const made = { asked: false } as Shelf;
  made.whole = new Promise((resolve) => (made.give = resolve));
  return made;
}
