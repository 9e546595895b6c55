/** What is typed into a field for a number: the value, or what is wrong with it. */

import type { ParameterInfo } from "../protocol";
import { number } from "../texts";
import { t } from "../texts_settings";

export type Limits = Pick<ParameterInfo, "minimum" | "maximum" | "step"> & { kind: "integer" | "number" };
export type Parsed<T> = { value: T } | { problem: string };

export const MAX_SEED = 2n ** 63n - 1n;

export function parseNumber(text: string, { kind, minimum, maximum, step }: Limits): Parsed<number> {
  const value = Number(text.trim().replace(",", "."));
  if (text.trim() === "" || !Number.isFinite(value)) return { problem: t("field.number") };
  if (kind === "integer" && !Number.isInteger(value)) return { problem: t("field.whole") };
  if (minimum !== null && value < minimum) return { problem: t("field.small", { limit: plain(minimum) }) };
  if (maximum !== null && value > maximum) return { problem: t("field.large", { limit: plain(maximum) }) };
  if (kind === "integer" && step !== null && step > 1) {
    const base = minimum ?? 0;
    const low = base + Math.floor((value - base) / step) * step;
    const high = low + step;
    if (low !== value) return { problem: t("field.step", { step, low: plain(low), high: plain(high) }) };
  }
  return { value };
}

/** Empty = null: a fresh seed for each image. Seeds are larger than JavaScript's numbers. */
export function parseSeed(text: string): Parsed<string | null> {
  const digits = text.trim();
  if (digits === "") return { value: null };
  if (!/^\d{1,40}$/.test(digits)) return { problem: t("field.seed") };
  const seed = BigInt(digits);
  return seed <= MAX_SEED ? { value: String(seed) } : { problem: t("field.large", { limit: String(MAX_SEED) }) };
}

export function randomSeed(): string {
  return String((crypto.getRandomValues(new Uint32Array(1))[0] ?? 0) % 1_000_000_000);
}

/** One step up or down, on the steps of the field and inside its limits. */
export function stepped(value: number, by: number, { kind, minimum, maximum, step }: Limits): number {
  const size = stepOf({ kind, minimum, maximum, step });
  const base = minimum ?? 0;
  const place = (value - base) / size;
  const next = by > 0 ? Math.floor(place + 1e-9) + by : Math.ceil(place - 1e-9) + by;
  const most = maximum === null ? Infinity : Math.floor((maximum - base) / size + 1e-9);
  const least = minimum === null ? -Infinity : 0;
  return tidy(base + Math.min(most, Math.max(least, next)) * size);
}

export function stepOf({ kind, minimum, maximum, step }: Limits): number {
  if (step) return step;
  if (kind === "integer") return 1;
  const span = minimum !== null && maximum !== null ? maximum - minimum : 1;
  return span <= 2 ? 0.01 : span <= 20 ? 0.1 : 1;
}

/** Sums of decimal steps are no decimals in binary: 0.7000000000000001. */
export function tidy(value: number): number {
  return Number(value.toPrecision(12));
}

/** As it stands in a field: no grouping; as many digits as the step has. */
export function shownNumber(value: number, limits: Limits): string {
  if (limits.kind === "integer") return String(value);
  const digits = (String(stepOf(limits)).split(".")[1] ?? "").length;
  const text = String(tidy(value));
  return (text.split(".")[1] ?? "").length > digits ? text : value.toFixed(digits);
}

const plain = (value: number): string => number(value).replace(/,/g, "");
