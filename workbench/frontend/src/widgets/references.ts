/** The images that go in with the next request: chosen, dropped or pasted files, and images of the
 *  workspace. In their order, at most as many as the model takes; they stay until they are removed
 *  or a model is chosen that takes none. */

import { computed, effect, type ReadonlySignal, type Signal, signal } from "@preact/signals";

import { isAborted, reasonOf } from "../errors";
import { upload } from "../files";
import type { Pictured } from "../pictures";
import type { Store } from "../store";
import { t } from "../texts_settings";
import { liveOf } from "../ui/live";

export interface Reference {
  readonly key: number;
  readonly name: string;
  /** An image of the workspace; null for a file. */
  readonly picture: Pictured | null;
  /** Where a file can be seen. */
  readonly url: string | null;
  /** What a request calls it; null while it is on its way. */
  readonly handle: Signal<string | null>;
  readonly stop: AbortController;
}

export class References {
  /** How many the chosen model takes. */
  readonly most: ReadonlySignal<number>;
  private readonly list = signal<readonly Reference[]>([]);
  private count = 0;

  constructor(private readonly store: Store) {
    this.most = computed(() => store.desk.model.value?.max_references ?? 0);
    effect(() => {
      const model = store.desk.model.value;
      if (model === undefined) return; // not told yet, or not usable for the moment
      for (const one of this.list.peek().slice(model.max_references)) this.remove(one.key);
    });
  }

  get items(): ReadonlySignal<readonly Reference[]> { return this.list; }

  /** What a request names; null while one of them is still on its way. */
  names(): string[] | null {
    const handles = this.list.peek().map((one) => one.handle.peek());
    return handles.includes(null) ? null : (handles as string[]);
  }

  async addFiles(files: readonly File[]): Promise<void> {
    const images = files.filter((file) => file.type.startsWith("image/"));
    const other = files.find((file) => !images.includes(file));
    if (other) this.store.toast(t("references.no_image", { name: other.name }), "warning");
    const room = Math.max(0, this.most.peek() - this.list.peek().length);
    if (images.length > room) this.store.toast(t("references.full", { count: this.most.peek() }), "warning");
    await Promise.all(images.slice(0, room).map((file) => this.bring(file)));
  }

  addPicture(picture: Pictured, name: string): void {
    if (this.list.peek().some((one) => one.handle.peek() === picture.id)) return;
    if (this.list.peek().length >= this.most.peek()) {
      this.store.toast(t("references.full", { count: this.most.peek() }), "warning");
      return;
    }
    this.put({ name, picture, url: null, handle: signal<string | null>(picture.id) });
    this.store.toast(t("references.added"), "success");
  }

  remove(key: number): void {
    const gone = this.list.peek().find((one) => one.key === key);
    if (gone === undefined) return;
    this.list.value = this.list.peek().filter((one) => one !== gone);
    gone.stop.abort();
    if (gone.url === null) return;
    URL.revokeObjectURL(gone.url);
    const handle = gone.handle.peek();
    // The kernel lets go of what is forgotten, so it does no harm if this is not heard.
    if (handle !== null) this.store.call("upload.abort", { handle }).catch(() => undefined);
  }

  private put(made: Omit<Reference, "key" | "stop">): Reference {
    this.count += 1;
    const item: Reference = { ...made, key: this.count, stop: new AbortController() };
    this.list.value = [...this.list.peek(), item];
    return item;
  }

  private async bring(file: File): Promise<void> {
    const name = file.name || t("references.pasted");
    const item = this.put({ name, picture: null, url: URL.createObjectURL(file), handle: signal<string | null>(null) });
    try {
      const { reference } = await upload(this.store, file, name, { signal: item.stop.signal });
      item.handle.value = reference;
      if (!this.list.peek().includes(item)) return void this.store.call("upload.abort", { handle: reference }).catch(() => undefined);
      liveOf(this.store).say(t("references.added"));
    } catch (error) {
      this.remove(item.key);
      if (!isAborted(error)) this.store.toast(reasonOf(error), "error");
    }
  }
}

const known = new WeakMap<Store, References>();

export function referencesOf(store: Store): References {
  let found = known.get(store);
  if (found === undefined) known.set(store, (found = new References(store)));
  return found;
}

/** The images among what is dropped or pasted. */
export function imagesIn(data: DataTransfer | null): File[] {
  // What was copied from a text editor comes as a picture, too: the text is what is meant.
  if (data === null || data.types.includes("text/plain")) return [];
  return [...data.files].filter((file) => file.type.startsWith("image/"));
}
