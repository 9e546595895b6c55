/** Where the storage goes with the session: says so, and takes all pictures along as one ZIP. */

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

import { download } from "../files";
import type { Store } from "../store";
import { t } from "../texts";
import { feedText } from "../texts_feed";
import { attempt } from "../ui/attempt";
import { Button, IconButton } from "../ui/button";
import { Icon } from "../ui/icons";
import { liveOf } from "../ui/live";
import { fold, isTemporary, useFolded } from "./temporary_fold";

export function Temporary({ store }: { store: Store }) {
  const folded = useFolded(store);
  const saving = useSaving(store);
  if (!isTemporary(store) || folded.value) return null;
  const part = saving.part.value;
  const text =
    part === null ? feedText("temporary") : part === 0 ? feedText("temporary.packing") : feedText("temporary.saving", { percent: Math.floor(part * 100) });
  return (
    <div class="wbx-banner wbx-temporary" data-level="info" data-testid="temporary" aria-busy={part !== null}>
      <Icon name={part === null ? "disk" : "loader"} class={part === null ? "" : "wbx-spin"} />
      <p>{text}</p>
      {part === null ? (
        <Button icon="download" testid="download-all" disabled={store.link.value === "dead" || !hasPictures(store)} onClick={saving.start}>
          {feedText("temporary.save")}
        </Button>
      ) : (
        <Button testid="download-cancel" onClick={saving.stop}>{t("cancel")}</Button>
      )}
      <IconButton icon="x" label={feedText("temporary.fold")} testid="temporary-fold" onClick={() => fold(folded)} />
      {part === null ? null : <span class="wbx-temporary-part" style={{ transform: `scaleX(${part})` }} />}
    </div>
  );
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
    liveOf(store).say(feedText("temporary.packing"));
    const onProgress = (done: number): void => {
      if (abort.current === own) part.value = done;
    };
    const save = () => download(store, "everything", null, undefined, { signal: own.signal, onProgress });
    void attempt(store, save).then((well) => {
      if (abort.current !== own) return;
      stop();
      if (well) store.toast(feedText("temporary.saved"), "success");
    });
  };
  return { part, start, stop };
}
