/** Numbers and times as people read them. */

import type { BatchRow, GenerationRow, ModelInfo } from "../protocol";
import { amount, LANGUAGE } from "../texts";
import { feedText } from "../texts_feed";

/** An amount of the ledger: "8 tokens", "$0.04"; in tokens where no unit was noted. */
export function money(micro: number, unit: string | null): string {
  return amount(micro, unit ?? "token");
}

/** "0.8 s", "12 s", "3 min 20 s". */
export function duration(seconds: number): string {
  if (seconds < 9.95) return feedText("duration.seconds", { seconds: Math.max(0.1, seconds).toFixed(1) });
  const all = Math.round(seconds); // before it is cut into minutes: there is no "1 min 60 s"
  if (all < 60) return feedText("duration.seconds", { seconds: all });
  const minutes = Math.floor(all / 60);
  if (minutes >= 60) return feedText("duration.hours_minutes", { hours: Math.floor(minutes / 60), minutes: minutes % 60 });
  return all % 60
    ? feedText("duration.minutes_seconds", { minutes, seconds: all % 60 })
    : feedText("duration.minutes", { minutes });
}

/** "just now", "4 min ago", "2 h ago", "yesterday", "Tue", "12 Nov", "12 Nov 2025". */
export function ago(then: number, now: number): string {
  const seconds = Math.max(0, (now - then) / 1000);
  if (seconds < 45) return feedText("ago.now");
  if (seconds < 3600) return feedText("ago.minutes", { count: Math.max(1, Math.floor(seconds / 60)) });
  const day = (time: number): number => new Date(time).setHours(0, 0, 0, 0);
  const days = Math.round((day(now) - day(then)) / 86_400_000);
  if (days === 0 || seconds < 6 * 3600) return feedText("ago.hours", { count: Math.round(seconds / 3600) });
  if (days === 1) return feedText("ago.yesterday");
  const date = new Date(then);
  if (days < 7) return date.toLocaleDateString(`${LANGUAGE}-GB`, { weekday: "short" });
  const sameYear = date.getFullYear() === new Date(now).getFullYear();
  const shape: Intl.DateTimeFormatOptions = { day: "numeric", month: "short" };
  return date.toLocaleDateString(`${LANGUAGE}-GB`, sameYear ? shape : { ...shape, year: "numeric" });
}

/** Date and time in the browser's zone, for tooltips and the lightbox. */
export function moment(then: number): string {
  return new Date(then).toLocaleString(`${LANGUAGE}-GB`, { dateStyle: "medium", timeStyle: "medium" });
}

export function bytes(size: number): string {
  if (size < 1000) return feedText("bytes.B", { count: size });
  if (size < 999_500) return feedText("bytes.kB", { count: Math.round(size / 1000) });
  return feedText("bytes.MB", { count: (size / 1_000_000).toFixed(1) });
}

export function size(width: number | null, height: number | null): string {
  return width && height ? `${width} × ${height}` : "";
}

/** Width and height of a batch's images: what was asked for, else what all that came have; null
 *  where they differ, or none is known. */
export function shapeOf(
  batch: Pick<BatchRow, "width" | "height">,
  rows: readonly GenerationRow[],
): [width: number, height: number] | null {
  if (batch.width && batch.height) return [batch.width, batch.height];
  const [first, ...others] = rows.flatMap((row) => (row.asset === null ? [] : [row.asset]));
  if (first === undefined) return null;
  const alike = others.every(({ width, height }) => width === first.width && height === first.height);
  return alike ? [first.width, first.height] : null;
}

/** One line of a text for labels and alternative texts. */
export function clamped(text: string, letters = 160): string {
  const line = text.replace(/\s+/g, " ").trim();
  return line.length <= letters ? line : `${line.slice(0, letters - 1).trimEnd()}…`;
}

/** A model's title where it is known here, else the last part of its id. */
export function modelTitle(id: string | null, models: readonly ModelInfo[]): string {
  if (id === null) return "";
  return models.find((model) => model.id === id)?.title ?? id.slice(id.lastIndexOf(":") + 1);
}

export const ENDED = new Set(["completed", "failed", "cancelled"]);

export function ended(row: Pick<GenerationRow, "status">): boolean {
  return ENDED.has(row.status);
}

/** The provider did not say whether a paid call was made: waiting ended, a person decides. */
export function outcomeUnknown(row: GenerationRow): boolean {
  return row.status === "processing" && row.detail_key === "outcome_unknown";
}

export function percent(row: GenerationRow): number {
  if (row.status === "completed") return 100;
  return Math.round(Math.min(1, Math.max(0, row.progress)) * 100);
}

/** What a batch has cost so far, per unit ("6 tokens"); empty where nothing was booked. */
export function cost(rows: readonly GenerationRow[]): string {
  const sums = new Map<string, number>();
  for (const row of rows) {
    const booked = row.status === "completed" || (row.error?.charged ?? false);
    if (row.unit === null || !booked) continue;
    sums.set(row.unit, (sums.get(row.unit) ?? 0) + row.cost_micro);
  }
  return [...sums]
    .filter(([, micro]) => micro > 0)
    .map(([unit, micro]) => money(micro, unit))
    .join(" + ");
}

/** From the first start to the last end, in seconds; null while something runs or never ran. */
export function batchDuration(rows: readonly GenerationRow[]): number | null {
  let first = Infinity;
  let last = -Infinity;
  for (const row of rows) {
    if (!ended(row)) return null;
    if (row.started_at === null || row.finished_at === null) continue;
    first = Math.min(first, row.started_at);
    last = Math.max(last, row.finished_at);
  }
  return last > first ? (last - first) / 1000 : null;
}

/** Seconds that are left, as a range, from what has been seen of this batch; null without a base.
 *
 *  The pace is that of its own images: the mean of the finished ones, and the running ones'
 *  progress. How many run at once is taken from how many do. */
export function secondsLeft(
  rows: readonly GenerationRow[],
  now: number,
): { from: number; to: number } | null {
  const paces: number[] = [];
  let running = 0;
  let work = 0; // images still to be made, parts of them included
  let runningWork = 0;
  for (const row of rows) {
    if (outcomeUnknown(row)) continue;
    if (row.status === "completed" && row.started_at !== null && row.finished_at !== null) {
      paces.push((row.finished_at - row.started_at) / 1000);
    }
    if (row.status === "processing") {
      running += 1;
      work += 1 - row.progress;
      runningWork = Math.max(runningWork, 1 - row.progress);
      if (row.started_at !== null && row.progress > 0.08) {
        paces.push((now - row.started_at) / 1000 / row.progress);
      }
    }
    if (row.status === "queued" || row.status === "pending") work += 1;
  }
  if (work === 0 || running === 0 || paces.length === 0) return null;
  const mean = paces.reduce((sum, pace) => sum + pace, 0) / paces.length;
  const left = Math.max(runningWork * mean, (work / running) * mean);
  if (!Number.isFinite(left) || left <= 0) return null;
  const from = Math.max(1, Math.floor(left * 0.9));
  return { from, to: Math.max(from + 1, Math.ceil(left * 1.25)) };
}

/** Rows carry at most 600 characters of a prompt: is there more? (Python counts code points.) */
export function hasMore(batch: Pick<BatchRow, "prompt" | "prompt_length">): boolean {
  return batch.prompt_length > [...batch.prompt].length;
}
