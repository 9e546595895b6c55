/** The tags of one picture, changed in their place: Enter or a comma adds, × removes.
 *
 *  What the kernel has is what is shown; a tag that is on its way is pale until then. What it
 *  refuses comes back into the field, with its reason.
 */

import { useSignal } from "@preact/signals";
import type { TargetedKeyboardEvent } from "preact";
import { useEffect, useRef } from "preact/hooks";

import { reasonOf, WorkbenchError } from "../errors";
import type { GenerationRow } from "../protocol";
import type { Store } from "../store";
import { feedText } from "../texts_feed";
import { Icon } from "../ui/icons";
import { liveOf } from "../ui/live";
import { useUnique } from "../ui/unique";
import "./icons";
import { wantsTags } from "./tagging";

interface TagsProps {
  store: Store;
  row: GenerationRow;
  /** Newer knowledge about the row. */
  onRow(row: GenerationRow): void;
}

/** The names in a text, as somebody types or pastes them; each once. */
export function tagsIn(text: string): string[] {
  const names = text.split(",").map((name) => name.trim());
  return [...new Set(names.filter((name) => name !== ""))];
}

/** A sentence: of a wrong value the kernel says only what is wrong ("may have up to …"). */
function sentenceOf(error: unknown): string {
  const reason = reasonOf(error);
  const named = error instanceof WorkbenchError && error.field === "tags";
  return named ? feedText("tags.problem", { reason }) : reason;
}

export function Tags({ store, row, onRow }: TagsProps) {
  const id = useUnique();
  const field = useRef<HTMLInputElement>(null);
  const list = useRef<HTMLUListElement>(null);
  const coming = useSignal<readonly string[]>([]);
  const problem = useSignal("");
  const known = useRef(row);
  known.current = row;
  /** One after the other: each sends all tags, and must not take the one before it back. */
  const queue = useRef<Promise<void>>(Promise.resolve());

  useEffect(() => {
    if (wantsTags.delete(store)) field.current?.focus();
  }, []);

  const change = (edit: (tags: readonly string[]) => readonly string[], said: string): Promise<boolean> => {
    const done = queue.current.then(async () => {
      try {
        const args = { generation_id: row.id, tags: edit(known.current.tags) };
        const answer = await store.call<{ row: GenerationRow }>("judge", args);
        known.current = answer.row;
        onRow(answer.row);
        problem.value = "";
        liveOf(store).say(said);
        return true;
      } catch (error) {
        problem.value = sentenceOf(error);
        return false;
      }
    });
    queue.current = done.then(() => undefined);
    return done;
  };
  const add = async (text: string): Promise<void> => {
    const there = new Set([...known.current.tags, ...coming.peek()]);
    const fresh = tagsIn(text).filter((name) => !there.has(name));
    if (field.current) field.current.value = "";
    problem.value = "";
    if (fresh.length === 0) {
      if (text.trim() !== "") liveOf(store).say(feedText("tags.there"));
      return;
    }
    const names = fresh.join(", ");
    coming.value = [...coming.peek(), ...fresh];
    const well = await change(
      (tags) => [...new Set([...tags, ...fresh])],
      feedText("tags.added", { count: fresh.length, tags: names }),
    );
    coming.value = coming.peek().filter((name) => !fresh.includes(name));
    // Nothing that was typed is lost, nor overwritten.
    if (!well && field.current?.value === "") field.current.value = names;
  };
  const remove = (tag: string): void => {
    // The button goes, and the focus must not go with it.
    const buttons = buttonsOf(list.current);
    const at = buttons.findIndex((button) => button.dataset["tag"] === tag);
    (buttons[at + 1] ?? buttons[at - 1] ?? field.current)?.focus();
    void change((tags) => tags.filter((one) => one !== tag), feedText("tags.removed", { tag }));
  };

  const typed = (event: TargetedKeyboardEvent<HTMLInputElement>): void => {
    if (event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
    const input = event.currentTarget;
    if (event.key === "Enter" || event.key === ",") void add(input.value);
    else if (event.key === "Escape") {
      // Out of the field, not out of the lightbox; the keys of the lightbox work again.
      input.value = "";
      problem.value = "";
      input.closest<HTMLElement>(".wbx-box")?.focus({ preventScroll: true });
    } else if (event.key === "Backspace" && input.value === "") {
      const last = buttonsOf(list.current).at(-1);
      if (last === undefined) return;
      last.focus();
    } else return;
    event.preventDefault();
  };
  const onTag = (event: TargetedKeyboardEvent<HTMLElement>, tag: string): void => {
    const buttons = buttonsOf(list.current);
    const at = buttons.indexOf(event.currentTarget as HTMLButtonElement);
    if (event.key === "Delete" || event.key === "Backspace") remove(tag);
    else if (event.key === "ArrowLeft") buttons[at - 1]?.focus();
    else if (event.key === "ArrowRight") (buttons[at + 1] ?? field.current)?.focus();
    else return;
    // Of the lightbox they would delete the picture, or walk on.
    event.preventDefault();
    event.stopPropagation();
  };

  const shown = [...new Set([...row.tags, ...coming.value])];
  return (
    <div class="wbx-tags" data-testid="tags">
      <Icon name="tag" />
      <ul ref={list} role="list" aria-label={feedText("tags.label")}>
        {shown.map((tag) => (
          <li key={tag} class="wbx-tag" data-testid="tag" data-coming={row.tags.includes(tag) ? undefined : ""}>
            <span dir="auto" title={tag}>
              {tag}
            </span>
            <button
              type="button"
              data-testid="tag-remove"
              data-tag={tag}
              aria-label={feedText("tags.remove", { tag })}
              onKeyDown={(event) => onTag(event, tag)}
              onClick={() => remove(tag)}
            >
              <Icon name="x" />
            </button>
          </li>
        ))}
      </ul>
      <input
        ref={field}
        type="text"
        dir="auto"
        class="wbx-tag-field"
        data-testid="tag-input"
        autocomplete="off"
        placeholder={feedText("tags.add")}
        aria-label={feedText("tags.add")}
        aria-keyshortcuts="T"
        aria-invalid={problem.value ? "true" : undefined}
        aria-describedby={problem.value ? `${id}-problem` : undefined}
        onInput={(event) => {
          problem.value = "";
          // What is pasted, or comes from a keyboard that names no keys.
          if (event.currentTarget.value.includes(",")) void add(event.currentTarget.value);
        }}
        onBlur={(event) => void add(event.currentTarget.value)}
        onKeyDown={typed}
      />
      {problem.value === "" ? null : (
        <p id={`${id}-problem`} class="wbx-tags-problem" role="alert" data-testid="tags-problem">
          {problem.value}
        </p>
      )}
    </div>
  );
}

function buttonsOf(list: HTMLElement | null): HTMLButtonElement[] {
  return [...(list?.querySelectorAll("button") ?? [])];
}
