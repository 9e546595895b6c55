/** Where prompts are written and sent, with what it will cost. */

import { type Signal, signal, useSignal } from "@preact/signals";
import type { TargetedKeyboardEvent } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";

import { isAborted } from "../errors";
import type { Config, Estimate } from "../protocol";
import type { Store } from "../store";
import { amount, APPLE, SUBMIT_KEYS } from "../texts";
import { clockTime, roughly, t } from "../texts_settings";
import { IconButton } from "../ui/button";
import { invalidFields } from "../ui/draft";
import { Icon } from "../ui/icons";
import { liveOf } from "../ui/live";
import { tip } from "../ui/tooltip";
import { useUnique } from "../ui/unique";
import { referencesOf } from "./references";
import { dropping, pasted } from "./references_field";

export const LIMIT = 10_000;
const COUNTED_FROM = 9_000;
const AGAIN_MS = 300; // the same prompt twice within this is one press too many
const ESTIMATE_AFTER_MS = 250;
const FEW = 10; // images of today: from here on their number is told

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
  const over = useSignal(false);
  const hint = useUnique();
  const draft = overflow.value ?? store.desk.draft.value;
  const length = lettersOf(draft);
  const dead = store.link.value === "dead";

  useEffect(() => {
    overflow.value = null; // another draft came from elsewhere
  }, [store.desk.draft.value]);
  useGrowth(box, draft);

  const write = (text: string): void => {
    const fits = lettersOf(text) <= LIMIT;
    overflow.value = fits ? null : text;
    if (fits) store.desk.setDraft(text);
  };
  const submit = (): void => {
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
            <EstimateLine store={store} />
          )}
        </div>
        <button
          type="submit"
          class="wbx-ask-go wbx-button"
          data-look="primary"
          data-testid="generate"
          disabled={dead || length > LIMIT}
          onClick={() => {
            if (draft.trim() === "") box.current?.focus();
          }}
        >
          {t("prompt.generate")}
          <kbd aria-hidden="true">{SUBMIT_KEYS}</kbd>
        </button>
      </div>
      {store.refusal.value ? (
        <p class="wbx-ask-refused" role="alert" data-testid="refused" dir="auto">
          <Icon name="warning" size={14} />
          {store.refusal.value}
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
      if (!isAborted(error)) store.toast(error instanceof Error ? error.message : String(error), "error");
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
      icon="ban"
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
      <Icon name="ban" size={14} />
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

// -- what it will cost ----------------------------------------------------------------------------

/** What a provider bills is an estimate, and where it says nothing before, it is not free either. */
function costText({ cost_micro, unit, by_provider }: Estimate): string {
  if (cost_micro === 0) return t(by_provider ? "amount.billed" : "amount.free");
  const text = amount(cost_micro, unit);
  return by_provider ? t("amount.about", { amount: text }) : text;
}

function EstimateLine({ store }: { store: Store }) {
  const config = store.desk.config.value;
  const { estimate, problem, today } = useEstimate(store, config);
  const parts = [t("prompt.estimate_images", { count: config.n })];
  if (estimate !== null) {
    parts.push(costText(estimate));
    if (estimate.seconds !== null) parts.push(t("prompt.about", { time: roughly(estimate.seconds) }));
  }
  const left = estimate?.balance_micro ?? null;
  const short = estimate !== null && left !== null && left < estimate.cost_micro;
  return (
    <>
      <span class="wbx-estimate" data-testid="estimate" data-short={short ? "" : undefined} {...(problem ? tip(problem) : {})}>
        {parts.map((part, at) => <span key={at} class={at === 0 ? "wbx-estimate-count" : undefined}>{part}</span>)}
        {short ? (
          <span class="wbx-estimate-short" title={t("prompt.too_little")}>
            <Icon name="warning" size={13} />
            {t("prompt.short_of", { amount: amount(left, estimate.unit) })}
          </span>
        ) : null}
      </span>
      {today !== null && today < FEW && !store.refusal.value ? (
        <span class={today < config.n ? "wbx-left-today wbx-estimate-short" : "wbx-left-today"} data-testid="images-left">
          {today > 0 ? t("prompt.left_today", { count: today }) : t("prompt.none_left", { time: clockTime(nextDay(store.now.value)) })}
        </span>
      ) : null}
    </>
  );
}

/** The days of the limits are those of UTC. */
const DAY_MS = 86_400_000;
const nextDay = (now: number): number => (Math.floor(now / DAY_MS) + 1) * DAY_MS;

/** The kernel's estimate for the settings; asked again a moment after they changed. */
function useEstimate(store: Store, config: Config): { estimate: Estimate | null; problem: string; today: number | null } {
  const limits = store.hello.value?.limits;
  const today = useSignal(limits?.images_left ?? null);
  const estimate = useSignal<Estimate | null>(null);
  const problem = useSignal("");
  const { model, n, width, height, params } = config;
  // Prices, and with each booking the balance, may have changed.
  const priced = store.models.value;
  const balance = [...store.balances.value.values()].map((row) => row.amount_micro).join();
  const live = store.link.value === "live";
  // Each request leaves a visitor fewer images for today, and each day begins anew.
  const asked = limits ? `${store.feed.active.value.length} ${nextDay(store.now.value)}` : "";
  useEffect(() => {
    if (!live || model === "") return undefined;
    const abort = new AbortController();
    const timer = setTimeout(() => {
      const args = { model, n, width, height, params };
      store.call<Estimate>("estimate", args, { signal: abort.signal }).then(
        (answer) => {
          estimate.value = answer;
          today.value = answer.images_left ?? null;
          problem.value = "";
        },
        (error: unknown) => {
          if (isAborted(error)) return;
          estimate.value = null;
          problem.value = error instanceof Error ? error.message : String(error);
        },
      );
    }, ESTIMATE_AFTER_MS);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [live, model, n, width, height, JSON.stringify(params), priced, balance, asked]);
  return { estimate: estimate.value, problem: problem.value, today: today.value };
}

