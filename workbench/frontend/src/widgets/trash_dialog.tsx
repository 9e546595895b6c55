/** What was deleted and can still be restored: images, batches, topics, projects. */

import { type Signal, signal, useSignal } from "@preact/signals";
import { useEffect, useLayoutEffect, useMemo, useRef } from "preact/hooks";

import { isAborted, reasonOf, WorkbenchError } from "../errors";
import type { PictureAnswer, TrashAnswer, TrashedRow } from "../protocol";
import type { Store } from "../store";
import { LANGUAGE } from "../texts";
import { t } from "../texts_dialogs";
import { Button } from "../ui/button";
import { Dialog } from "../ui/dialog";
import { Icon, type IconName } from "../ui/icons";
import { Problem } from "../ui/problem";

const MOST_THUMBS = 48; // of one request
const ICONS: Readonly<Record<TrashedRow["entity"], IconName>> = {
  generation: "image", batch: "image", topic: "list", project: "layers",
};

export function TrashDialog({ store, onClose }: { store: Store; onClose(): void }) {
  const trash = useMemo(() => new Trash(store), [store]);
  const body = useRef<HTMLDivElement>(null);
  const items = useSignal<readonly TrashedRow[] | null>(null);
  const older = useSignal(0);
  const problem = useSignal("");
  const restored = useSignal("");
  /** The row that is being restored, or "older". */
  const busy = useSignal("");
  /** The place of a row that goes: the button that was pressed goes with it. */
  const next = useRef(-1);
  useLayoutEffect(() => {
    if (next.current >= 0) refocus(body.current, next.current);
    next.current = -1;
  }, [items.value]);

  const read = async (before: number | null): Promise<void> => {
    problem.value = "";
    try {
      const answer = await trash.page(before);
      items.value = before === null ? answer.items : [...(items.peek() ?? []), ...answer.items];
      older.value = answer.older ?? 0;
      void trash.bringPictures(answer.items);
    } catch (error) {
      if (!isAborted(error)) problem.value = reasonOf(error);
    }
  };
  useEffect(() => {
    void read(null);
    return () => trash.dispose();
  }, [trash]);

  const during = async (what: string, act: () => Promise<void>): Promise<void> => {
    if (busy.peek() !== "") return;
    busy.value = what;
    await act();
    busy.value = "";
  };
  const restore = (row: TrashedRow, at: number): Promise<void> =>
    during(row.id, async () => {
      problem.value = restored.value = "";
      try {
        await trash.restore(row);
        restored.value = t("trash.restored", { title: titleOf(row) });
      } catch (error) {
        if (!isAborted(error)) problem.value = reasonOf(error);
        // Gone for good meanwhile: there is nothing to restore any more.
        if (!(error instanceof WorkbenchError) || error.code !== "not_found") return;
      }
      next.current = at;
      items.value = items.peek()?.filter((one) => one.id !== row.id) ?? null;
      // What had been deleted inside of it before can be restored now, too.
      if (row.entity !== "generation" || items.value?.length === 0) {
        const wrong = problem.peek();
        await read(null);
        problem.value ||= wrong;
      }
    });
  const more = (): Promise<void> => during("older", () => read(trash.before));

  return (
    <Dialog title={t("trash.title")} testid="trash-dialog" onClose={onClose}>
      <div class="wbx-trash" ref={body} aria-busy={items.value === null && problem.value === ""}>
        {items.value === null ? (
          problem.value === "" ? <Waiting /> : null
        ) : items.value.length === 0 ? (
          <div class="wbx-trash-none" data-testid="trash-none">
            <Icon name="trash" size={20} />
            <p>{t("trash.none")}</p>
            <p>{t("trash.none_hint")}</p>
          </div>
        ) : (
          <>
            <p class="wbx-trash-kept">{t("trash.kept", { count: store.hello.peek()!.workspace.trash_days })}</p>
            {/* Scrolls by itself: the browser scrolls to what has the focus. */}
            <ul class="wbx-trash-list">
              {items.value.map((row, at) => (
                <Row key={row.id} row={row} urls={trash.urls} waits={busy.value !== ""} onRestore={() => void restore(row, at)} />
              ))}
            </ul>
            {older.value > 0 ? (
              <Button look="quiet" testid="trash-older" waits={busy.value !== ""} onClick={() => void more()}>
                {t("trash.older", { count: older.value })}
              </Button>
            ) : null}
          </>
        )}
        <Problem id="wbx-trash-problem" text={problem.value} />
        {items.value === null && problem.value !== "" ? (
          <Button icon="refresh" testid="trash-again" onClick={() => void read(null)}>{t("again")}</Button>
        ) : null}
        {/* In the dialog: what is said outside of it is not heard while it is open. */}
        <div role="status">
          {restored.value ? (
            <p class="wbx-trash-restored" data-testid="trash-restored"><Icon name="check" size={14} /><span>{restored.value}</span></p>
          ) : null}
        </div>
      </div>
    </Dialog>
  );
}

interface RowProps { row: TrashedRow; urls: Signal<ReadonlyMap<string, string>>; waits: boolean; onRestore(): void }

function Row({ row, urls, waits, onRestore }: RowProps) {
  const title = titleOf(row);
  const url = urls.value.get(row.picture_id ?? "");
  return (
    <li class="wbx-trash-row" data-testid="trash-item" data-entity={row.entity} data-id={row.id}>
      <span class="wbx-trash-picture">
        {url ? <img src={url} alt="" decoding="async" draggable={false} /> : <Icon name={ICONS[row.entity]} />}
      </span>
      <div class="wbx-trash-words">
        <p class="wbx-trash-title" dir="auto">{title}</p>
        <p>
          {t(`trash.${row.entity}`, { count: row.images })}
          {row.topic_title ? <span dir="auto"> {t("trash.from", { title: row.topic_title })}</span> : null}
        </p>
        <p>
          <span class="wbx-trash-part">{t("trash.deleted", { when: moment(row.deleted_at) })}</span>
          <span class="wbx-trash-dot" aria-hidden="true"> · </span>
          <span class="wbx-trash-part">{t("trash.until", { until: day(row.kept_until) })}</span>
        </p>
      </div>
      <button
        type="button"
        class="wbx-button"
        data-look="plain"
        data-testid="trash-restore"
        aria-label={t("trash.restore_this", { title })}
        aria-disabled={waits ? "true" : undefined}
        onClick={onRestore}
      >
        {t("trash.restore")}
      </button>
    </li>
  );
}

function Waiting() {
  return (
    <div aria-hidden="true" class="wbx-trash-list">
      {[180, 132, 160].map((width) => (
        <div key={width} class="wbx-trash-row">
          <span class="wbx-trash-picture wbx-skel" />
          <div class="wbx-trash-words">
            <span class="wbx-skel" style={{ width: `${width}px`, height: "12px", margin: "4px 0 8px" }} />
            <span class="wbx-skel" style={{ width: "96px", height: "10px" }} />
          </div>
        </div>
      ))}
    </div>
  );
}

/** The trash as the kernel tells it, page by page, with its thumbnails. */
class Trash {
  readonly urls: Signal<ReadonlyMap<string, string>>;
  /** What was deleted before this moment is not read yet. */
  before: number | null = null;
  private readonly stop = new AbortController();

  constructor(private readonly store: Store) {
    this.urls = signal(new Map());
  }

  async page(before: number | null): Promise<TrashAnswer> {
    const args = before === null ? {} : { before };
    const answer = await this.store.call<TrashAnswer>("trash", args, { signal: this.stop.signal });
    this.before = answer.items.at(-1)?.deleted_at ?? before;
    return answer;
  }

  /** Goes on when the dialog is closed meanwhile. */
  async restore({ entity, id }: TrashedRow): Promise<void> {
    await this.store.call("restore", { entity, id });
  }

  /** Where one does not come there is a sign in its place. */
  async bringPictures(items: readonly TrashedRow[]): Promise<void> {
    const known = this.urls.peek();
    const ids = items.flatMap((row) => (row.picture_id && !known.has(row.picture_id) ? [row.picture_id] : []));
    if (ids.length === 0) return;
    try {
      const args = { ids: ids.slice(0, MOST_THUMBS), size: 256, trash: true };
      const { data, buffers } = await this.store.ask<PictureAnswer>("thumbs", args, { signal: this.stop.signal });
      const there = data.items.filter((one) => one.error === undefined);
      const made = there.map(({ id, mime }, at): [string, string] => [
        id, URL.createObjectURL(new Blob([buffers[at] as BlobPart], { type: mime ?? "" })),
      ]);
      this.urls.value = new Map([...this.urls.peek(), ...made]);
    } catch (error) {
      if (!isAborted(error)) console.warn("image-workbench: no thumbnails of the trash", error);
    }
  }

  dispose(): void {
    this.stop.abort();
    for (const url of this.urls.peek().values()) URL.revokeObjectURL(url);
  }
}

const titleOf = (row: TrashedRow): string => row.title || t("topics.untitled");
const moment = (time: number): string =>
  new Date(time).toLocaleString(`${LANGUAGE}-GB`, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });

function day(time: number): string {
  const date = new Date(time);
  const year = date.getFullYear() === new Date().getFullYear() ? {} : { year: "numeric" as const };
  return date.toLocaleDateString(`${LANGUAGE}-GB`, { day: "numeric", month: "short", ...year });
}

/** The next row takes the focus, the last one, or the button that closes the dialog. */
function refocus(body: HTMLElement | null, at: number): void {
  const dialog = body?.closest("dialog");
  if (dialog?.contains(document.activeElement)) return; // it went elsewhere meanwhile
  const buttons = [...(body?.querySelectorAll<HTMLElement>('[data-testid="trash-restore"]') ?? [])];
  (buttons[Math.min(at, buttons.length - 1)] ?? dialog?.querySelector("button"))?.focus();
}
