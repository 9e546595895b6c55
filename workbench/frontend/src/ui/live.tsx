/** The one polite live region of a root: whoever has something to say says it here.
 *
 *  At most one message in two seconds, put together from what came meanwhile.
 */

import { type ReadonlySignal, signal } from "@preact/signals";

const EVERY_MS = 2000;

export class Live {
  private readonly text = signal("");
  private waiting: string[] = [];
  private timer: ReturnType<typeof setTimeout> | undefined;
  private last = 0;

  get value(): ReadonlySignal<string> {
    return this.text;
  }

  say(message: string): void {
    if (!message) return;
    this.waiting = [...this.waiting.filter((other) => other !== message), message].slice(-3);
    this.timer ??= setTimeout(() => this.speak(), Math.max(100, this.last + EVERY_MS - Date.now()));
  }

  private speak(): void {
    this.timer = undefined;
    this.last = Date.now();
    const said = this.waiting.join(". ");
    this.waiting = [];
    // The same words again are only heard when the text differs.
    this.text.value = said === this.text.peek() ? `${said}\u00a0` : said;
  }
}

const lives = new WeakMap<object, Live>();

/** The live region of a store, i.e. of its root. */
export function liveOf(store: object): Live {
  let live = lives.get(store);
  if (live === undefined) lives.set(store, (live = new Live()));
  return live;
}

export function LiveRegion({ store }: { store: object }) {
  return (
    <div class="wbx-hidden" role="status" aria-live="polite" data-testid="live-region">
      {liveOf(store).value.value}
    </div>
  );
}
