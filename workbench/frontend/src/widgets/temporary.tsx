/** Where the storage goes with the session: says so, and takes all pictures along as one ZIP. */

import { type Signal, signal, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

import { download } from "../files";
import type { Store } from "../store";
import { t } from "../texts";
import { attempt } from "../ui/attempt";
import { Button, IconButton } from "../ui/button";
import { Icon } from "../ui/icons";
import { liveOf } from "../ui/live";

const KEY = "workbench-temporary-folded"; // for as long as this tab is open

/** Banner and header of one store share it. */
const foldedOf = new WeakMap<Store, Signal<boolean>>();

function useFolded(store: Store): Signal<boolean> {
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

function fold(folded: Signal<boolean>): void {
  folded.value = true;
  try {
    sessionStorage.setItem(KEY, "1");
  } catch {
    return; // as above
  }
}

const isTemporary = (store: Store): boolean => store.hello.value?.workspace.temporary ?? false;

export function Temporary({ store }: { store: Store }) {
  const folded = useFolded(store);
  const saving = useSaving(store);
  if (!isTemporary(store) || folded.value) return null;
  const part = saving.part.value;
  const text =
    part === null ? t("temporary") : part === 0 ? t("temporary.packing") : t("temporary.saving", { percent: Math.floor(part * 100) });
  return (
    <div class="wbx-banner wbx-temporary" data-level="info" data-testid="temporary" aria-busy={part !== null}>
      <Icon name={part === null ? "disk" : "loader"} class={part === null ? "" : "wbx-spin"} />
      <p>{text}</p>
      {part === null ? (
        <Button icon="download" testid="download-all" disabled={store.link.value === "dead" || !hasPictures(store)} onClick={saving.start}>
          {t("temporary.save")}
        </Button>
      ) : (
        <Button testid="download-cancel" onClick={saving.stop}>{t("cancel")}</Button>
      )}
      <IconButton icon="x" label={t("temporary.fold")} testid="temporary-fold" onClick={() => fold(folded)} />
      {part === null ? null : <span class="wbx-temporary-part" style={{ transform: `scaleX(${part})` }} />}
    </div>
  );
}

/** For the header, while the banner is folded away: brings it back. */
export function useUnfold(store: Store): (() => void) | null {
  const folded = useFolded(store);
  return isTemporary(store) && folded.value ? () => (folded.value = false) : null;
}

function hasPictures(store: Store): boolean {
  return store.topics.value.some((topic) => topic.mine && topic.images > 0);
}

/** `part`: null = nothing under way, 0 = being packed, to 1. */
function useSaving(store: Store) {
  const part = useSignal<number | null>(null);
  const abort = useRef<AbortController | null>(null);
  const stop = (): void => {
    abort.current?.abort();
    abort.current = null;
    part.value = null;
  };
  useEffect(() => stop, []);
  const start = (): void => {
    stop();
    const own = (abort.current = new AbortController());
    part.value = 0;
    liveOf(store).say(t("temporary.packing"));
    const onProgress = (done: number): void => {
      if (abort.current === own) part.value = done;
    };
    const save = () => download(store, "everything", null, undefined, { signal: own.signal, onProgress });
    void attempt(store, save).then((well) => {
      if (abort.current !== own) return;
      stop();
      if (well) store.toast(t("temporary.saved"), "success");
    });
  };
  return { part, start, stop };
}
