/** Where prompts are written and sent, with what it will cost. */

import { type Signal, signal, useSignal } from "@preact/signals";
import type { TargetedKeyboardEvent } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";

import { isAborted, reasonOf } from "../errors";
import type { Store } from "../store";
import { APPLE, SUBMIT_KEYS } from "../texts";
import { t } from "../texts_settings";
import { IconButton } from "../ui/button";
import { invalidFields } from "../ui/draft";
import { Icon } from "../ui/icons";
import { liveOf } from "../ui/live";
import { useUnique } from "../ui/unique";
import { EstimateLine, useEstimate } from "./estimate";
import { referencesOf } from "./references";
import { dropping, pasted } from "./references_field";
import "./settings_icons";

export const LIMIT = 10_000;
const COUNTED_FROM = 9_000;
const AGAIN_MS = 300; // the same prompt twice within this is one press too many

/** Letters as Python counts them. */
export function lettersOf(text: string): number {
  return text.length < COUNTED_FROM ? text.length : [...text].length;
}

export function PromptForm({ store }: { store: Store }) {
  const box = useRef<HTMLTextAreaElement>(null);
  /** Longer than what may be stored: kept here until it fits. */
  const overflow = useSignal<string | null>(null);
  const last = useRef({ text: "", at: -Infinity });
  const history = useHistory(store);
  const references = referencesOf(store);
  const estimating = useEstimate(store);
  const over = useSignal(false);
  const hint = useUnique();
  const draft = overflow.value ?? store.desk.draft.value;
  const length = lettersOf(draft);
  const dead = store.link.value === "dead";
  const refusal = store.refusal.value || estimating.refusal;

  useEffect(() => {
    overflow.value = null; // another draft came from elsewhere
  }, [store.desk.draft.value]);
  useGrowth(box, draft);
  useEffect(() => liveOf(store).say(estimating.refusal), [estimating.refusal]);

  const write = (text: string): void => {
    const fits = lettersOf(text) <= LIMIT;
    overflow.value = fits ? null : text;
    if (fits) store.desk.setDraft(text);
  };
  const submit = (asked = false): void => {
    const prompt = (overflow.peek() ?? store.desk.draft.peek()).trim();
    if (!prompt || lettersOf(prompt) > LIMIT || store.link.peek() === "dead") return;
    const now = performance.now();
    if (prompt === last.current.text && now - last.current.at < AGAIN_MS) return;
    const [wrong] = invalidFields(store).peek();
    if (wrong) {
      store.toast(t("field.fix", { name: wrong[0], problem: wrong[1] }), "warning");
      return;
    }
    const names = references.names();
    if (names === null) {
      store.toast(t("references.wait"), "warning");
      return;
    }
    if (estimating.refusal !== "" && !asked) {
      // It may be paid by now, or a limit lifted: asked once more, so that nothing is held up wrongly.
      void estimating.again().then((refusal) => {
        if (refusal === "") submit(true);
        else store.refusal.value = refusal;
      });
      return;
    }
    last.current = { text: prompt, at: now };
    history.end();
    // What goes wrong is told by the store; the words must not be lost with it.
    store.submit(prompt, { references: names }).catch(() => {
      if (store.desk.draft.peek() === "") store.desk.setDraft(prompt);
    });
    store.desk.setDraft("");
  };
  const keys = (event: TargetedKeyboardEvent<HTMLTextAreaElement>): void => {
    if (event.isComposing) return;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      if (!event.repeat) submit();
    } else if (event.key === "ArrowUp" || event.key === "ArrowDown") {
      if (event.shiftKey || event.ctrlKey || event.metaKey || event.altKey) return;
      const step = history.step(event.key === "ArrowUp" ? 1 : -1, draft);
      if (step) event.preventDefault();
    }
  };
  return (
    <form
      class="wbx-ask"
      data-over={over.value ? "" : undefined}
      {...dropping(references, (is) => (over.value = is))}
      onPaste={(event) => pasted(references, event)}
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
    >
      <textarea
        ref={box}
        class="wbx-ask-text"
        data-testid="prompt"
        rows={2}
        dir="auto"
        value={draft}
        // Nobody keeps what is written for a kernel that has gone.
        readOnly={dead}
        placeholder={t("prompt.placeholder")}
        aria-label={t("prompt.label")}
        aria-keyshortcuts={APPLE ? "Meta+Enter" : "Control+Enter"}
        aria-describedby={hint}
        aria-invalid={length > LIMIT ? "true" : undefined}
        onInput={(event) => {
          history.end();
          store.refusal.value = "";
          write(event.currentTarget.value);
        }}
        onKeyDown={keys}
      />
      <Negative store={store} />
      <div class="wbx-ask-row">
        <NegativeButton store={store} />
        <div id={hint} class="wbx-ask-hint">
          {length > LIMIT ? (
            <span class="wbx-problem" role="alert">{t("prompt.too_long", { count: length - LIMIT })}</span>
          ) : length >= COUNTED_FROM ? (
            <span data-testid="prompt-count">{t("prompt.count", { length, limit: LIMIT })}</span>
          ) : (
            <EstimateLine store={store} estimating={estimating} told={refusal !== ""} />
          )}
        </div>
        <button
          type="submit"
          class="wbx-ask-go wbx-button"
          data-look="primary"
          data-testid="generate"
          data-refused={refusal ? "" : undefined}
          disabled={dead || length > LIMIT}
          onClick={() => {
            if (draft.trim() === "") box.current?.focus();
          }}
        >
          {t("prompt.generate")}
          <kbd aria-hidden="true">{SUBMIT_KEYS}</kbd>
        </button>
      </div>
      {refusal ? (
        <p
          key={store.refusal.value ? "refused" : "before"}
          class="wbx-ask-refused"
          role={store.refusal.value ? "alert" : undefined}
          data-testid={store.refusal.value ? "refused" : "estimate-refusal"}
          dir="auto"
        >
          <Icon name="warning" size={14} />
          {refusal}
        </p>
      ) : null}
    </form>
  );
}

/** As high as its text, up to the limit of the style sheet; browsers without field-sizing need help. */
function useGrowth(box: { current: HTMLTextAreaElement | null }, text: string): void {
  useLayoutEffect(() => {
    const element = box.current;
    if (element === null || globalThis.CSS?.supports("field-sizing", "content")) return;
    element.style.height = "auto";
    element.style.height = `${element.scrollHeight}px`;
  }, [text]);
}

/** Earlier prompts: ↑ in an empty box, then ↑ and ↓ as long as nothing is typed. */
function useHistory(store: Store) {
  const walk = useRef<{ prompts: string[]; at: number } | null>(null);
  const asking = useRef(false);
  const show = (): void => {
    const { prompts, at } = walk.current!;
    store.desk.setDraft(prompts[at] ?? "");
    if (at >= 0) liveOf(store).say(t("prompt.history", { index: at + 1, count: prompts.length }));
  };
  const begin = async (): Promise<void> => {
    asking.current = true;
    try {
      const { prompts } = await store.call<{ prompts: string[] }>("prompts", { limit: 50 });
      if (prompts.length === 0 || store.desk.draft.peek() !== "") return;
      walk.current = { prompts, at: 0 };
      show();
    } catch (error) {
      if (!isAborted(error)) store.toast(reasonOf(error), "error");
    } finally {
      asking.current = false;
    }
  };
  return {
    end: () => {
      walk.current = null;
    },
    /** True if the key was meant for this. */
    step: (by: 1 | -1, draft: string): boolean => {
      const now = walk.current;
      if (now === null || draft !== (now.prompts[now.at] ?? "")) {
        walk.current = null;
        if (by < 0 || draft !== "" || asking.current) return false;
        void begin();
        return true;
      }
      const at = Math.min(now.prompts.length - 1, now.at + by);
      now.at = at;
      show();
      if (at < 0) walk.current = null;
      return true;
    },
  };
}

// -- negative prompt ------------------------------------------------------------------------------

/** Whether its field is unfolded; two components of one store share it. */
const unfolded = new WeakMap<Store, Signal<boolean>>();

function useNegative(store: Store) {
  let open = unfolded.get(store);
  if (open === undefined) {
    open = signal(false);
    unfolded.set(store, open);
  }
  const has = (store.desk.model.value?.negative_prompt ?? false) && store.shows("negative_prompt");
  return { has, open, text: store.desk.config.value.negative_prompt };
}

function NegativeButton({ store }: { store: Store }) {
  const { has, open, text } = useNegative(store);
  if (!has) return null;
  const shown = open.value || text !== "";
  return (
    <IconButton
      class="wbx-ask-tool"
      icon="negative"
      label={t("prompt.negative_add")}
      expanded={shown}
      pressed={undefined}
      testid="negative-toggle"
      onClick={() => {
        if (shown && text !== "") store.desk.set({ negative_prompt: "" });
        open.value = !shown;
      }}
    />
  );
}

function Negative({ store }: { store: Store }) {
  const { has, open, text } = useNegative(store);
  const field = useRef<HTMLTextAreaElement>(null);
  const shown = has && (open.value || text !== "");
  useGrowth(field, text);
  useEffect(() => {
    if (open.value) field.current?.focus();
  }, [open.value]);
  if (!shown) return null;
  return (
    <div class="wbx-ask-negative">
      <Icon name="negative" size={14} />
      <textarea
        ref={field}
        class="wbx-ask-text"
        data-testid="negative-prompt"
        rows={1}
        dir="auto"
        maxLength={LIMIT}
        value={text}
        aria-label={t("prompt.negative")}
        placeholder={t("prompt.negative_placeholder")}
        onInput={(event) => store.desk.set({ negative_prompt: event.currentTarget.value })}
      />
    </div>
  );
}
