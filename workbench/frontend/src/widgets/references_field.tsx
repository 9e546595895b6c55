/** Images that the next request goes out with: by button, by drop, by paste, from a card's menu. */

import { useSignal } from "@preact/signals";
import type { TargetedClipboardEvent, TargetedDragEvent } from "preact";
import { useRef } from "preact/hooks";

import { useThumb } from "../pictures";
import type { Store } from "../store";
import { t } from "../texts_settings";
import { IconButton } from "../ui/button";
import { Icon } from "../ui/icons";
import { tip } from "../ui/tooltip";
import { useUnique } from "../ui/unique";
import { imagesIn, type Reference, type References, referencesOf } from "./references";

export function ReferencesField({ store }: { store: Store }) {
  const id = useUnique();
  const references = referencesOf(store);
  const over = useSignal(false);
  const picker = useRef<HTMLInputElement>(null);
  const place = useRef<HTMLDivElement>(null);
  const most = references.most.value;
  const items = references.items.value;
  if (most === 0) return null;
  const removed = (key: number): void => {
    references.remove(key);
    // The button that was pressed goes: there is always one to add another.
    requestAnimationFrame(() => place.current?.querySelector<HTMLElement>("[data-testid=reference-add]")?.focus({ preventScroll: true }));
  };
  return (
    <div
      ref={place}
      class="wbx-field wbx-part"
      role="group"
      aria-labelledby={id}
      data-testid="references"
      {...dropping(references, (is) => (over.value = is))}
      onPaste={(event) => pasted(references, event)}
    >
      <div class="wbx-field-head">
        <span id={id}>{t("references.title")}</span>
        {items.length > 0 ? <span class="wbx-refs-count">{t("references.count", { count: items.length, most })}</span> : null}
      </div>
      <ul class="wbx-refs" data-over={over.value ? "" : undefined}>
        {items.map((item, at) => (
          <li key={item.key}><Thumb store={store} item={item} at={at + 1} onRemove={() => removed(item.key)} /></li>
        ))}
        {items.length < most ? (
          <li>
            <IconButton class="wbx-refs-add" icon="plus" label={t("references.add")} testid="reference-add" onClick={() => picker.current?.click()} />
          </li>
        ) : null}
        {items.length === 0 ? <li class="wbx-refs-hint" aria-hidden="true">{t("references.hint")}</li> : null}
      </ul>
      <input
        ref={picker}
        type="file"
        accept="image/*"
        multiple={most > 1}
        hidden
        data-testid="reference-files"
        onChange={(event) => {
          const files = [...(event.currentTarget.files ?? [])];
          event.currentTarget.value = ""; // the same file again is a choice as well
          void references.addFiles(files);
        }}
      />
    </div>
  );
}

/** Pressed it goes: there is nothing else to do with it. */
function Thumb({ store, item, at, onRemove }: { store: Store; item: Reference; at: number; onRemove(): void }) {
  const { url } = useThumb(store, item.picture ?? undefined, 256);
  const shown = item.url ?? url;
  const waits = item.handle.value === null;
  const label = t(waits ? "references.uploading" : "references.remove", { index: at, name: item.name });
  return (
    <button
      type="button"
      class="wbx-ref"
      data-testid="reference"
      data-waits={waits ? "" : undefined}
      aria-label={label}
      onClick={onRemove}
      {...tip(label)}
    >
      {shown ? <img src={shown} alt="" draggable={false} /> : null}
      <span class="wbx-ref-x"><Icon name={waits ? "loader" : "x"} size={14} /></span>
    </button>
  );
}

/** For whatever files may be dropped on. */
export function dropping(references: References, mark: (over: boolean) => void) {
  const brings = (event: TargetedDragEvent<HTMLElement>): boolean =>
    references.most.peek() > 0 && (event.dataTransfer?.types.includes("Files") ?? false);
  const stop = (event: Event): void => {
    event.preventDefault();
    event.stopPropagation(); // the notebook takes files, too
  };
  return {
    onDragOver: (event: TargetedDragEvent<HTMLElement>): void => {
      if (!brings(event)) return;
      stop(event);
      event.dataTransfer!.dropEffect = "copy";
      mark(true);
    },
    onDragLeave: (event: TargetedDragEvent<HTMLElement>): void => {
      if (!event.currentTarget.contains(event.relatedTarget as Node | null)) mark(false);
    },
    onDrop: (event: TargetedDragEvent<HTMLElement>): void => {
      mark(false);
      if (!brings(event)) return;
      stop(event);
      void references.addFiles([...(event.dataTransfer?.files ?? [])]);
    },
  };
}

export function pasted(references: References, event: TargetedClipboardEvent<HTMLElement>): void {
  const images = references.most.peek() > 0 ? imagesIn(event.clipboardData) : [];
  if (images.length === 0) return;
  event.preventDefault();
  event.stopPropagation();
  void references.addFiles(images);
}
