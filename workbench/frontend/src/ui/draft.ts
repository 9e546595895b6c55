/** Text in a field while it is being typed: sent as soon as it is right, told when it stays wrong. */

import { type ReadonlySignal, type Signal, signal, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

import type { Parsed } from "./numbers";

const TELL_AFTER_MS = 700; // a number half typed is no mistake yet

/** Fields that hold something wrong, by name: Generate points at them instead of ignoring them. */
const wrong = new WeakMap<object, Signal<ReadonlyMap<string, string>>>();

function wrongOf(store: object): Signal<ReadonlyMap<string, string>> {
  let fields = wrong.get(store);
  if (fields === undefined) {
    fields = signal(new Map());
    wrong.set(store, fields);
  }
  return fields;
}

export function invalidFields(store: object): ReadonlySignal<ReadonlyMap<string, string>> {
  return wrongOf(store);
}

export interface Draft {
  text: string;
  /** Shown once typing has paused. */
  problem: string;
  input(text: string): void;
  /** The focus goes: say now what is wrong. */
  leave(): void;
  /** So does Enter; Escape takes back what is wrong, and closes nothing then. */
  key(event: KeyboardEvent): void;
}

interface DraftOptions<T> {
  store: object;
  /** Name as people know it. */
  label: string;
  value: T;
  /** The value as text. */
  show(value: T): string;
  parse(text: string): Parsed<T>;
  commit(value: T): void;
}

export function useDraft<T>({ store, label, value, show, parse, commit }: DraftOptions<T>): Draft {
  const text = useSignal<string | null>(null);
  const told = useSignal("");
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const shown = show(value);
  const mark = (problem: string): void => {
    const known = wrongOf(store).peek();
    if ((known.get(label) ?? "") === problem) return;
    const fields = new Map(known);
    if (problem) fields.set(label, problem);
    else fields.delete(label);
    wrongOf(store).value = fields;
  };
  const clear = (): void => {
    clearTimeout(timer.current);
    text.value = null;
    told.value = "";
    mark("");
  };
  // A value from elsewhere (Python, a preset, a refusal) replaces what was typed.
  useEffect(() => {
    if (text.peek() === null) return;
    const parsed = parse(text.peek() ?? "");
    if ("problem" in parsed || show(parsed.value) !== shown) clear();
  }, [shown]);
  useEffect(() => clear, []);
  const leave = (): void => {
    if (text.peek() === null) return;
    const parsed = parse(text.peek() ?? "");
    clearTimeout(timer.current);
    if ("problem" in parsed) told.value = parsed.problem;
    else clear();
  };
  return {
    text: text.value ?? shown,
    problem: told.value,
    input: (typed) => {
      text.value = typed;
      clearTimeout(timer.current);
      const parsed = parse(typed);
      if ("value" in parsed) {
        told.value = "";
        mark("");
        commit(parsed.value);
        return;
      }
      mark(parsed.problem);
      if (told.peek()) told.value = parsed.problem;
      else timer.current = setTimeout(() => (told.value = parsed.problem), TELL_AFTER_MS);
    },
    leave,
    key: (event) => {
      if (event.key === "Enter") leave();
      if (event.key !== "Escape" || !("problem" in parse(text.peek() ?? shown))) return;
      event.preventDefault();
      event.stopPropagation();
      clear();
    },
  };
}
