/** Taking the settings of an earlier image or batch over into the configuration: what will change
 *  is said before, and one step undoes it. */

import type { BatchRow, Config, GenerationRow, ModelInfo } from "../protocol";
import { feedText } from "../texts_feed";
import { clamped, size } from "./words";

/** Of what is empty before or afterwards only the other is told. */
export interface Change {
  name: string;
  from: string;
  to: string;
}

export interface Reuse {
  config: Partial<Config>;
  /** The new draft; undefined leaves the prompt box alone. */
  draft?: string;
  changes: Change[];
  /** Why it cannot be done; the changes are empty then. */
  refused?: string;
}

export interface Desk {
  config: Config;
  draft: string;
}

function shown(value: unknown): string {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return String(Math.round(value * 1000) / 1000);
  return clamped(typeof value === "string" ? value : JSON.stringify(value), 24);
}

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

/** Model, size, count, negative prompt and parameters of a batch; its prompt too where the prompt
 *  box is empty (what somebody is writing is never overwritten). A seed that was given for the
 *  batch is part of its settings; a random one is not: "reuse seed" takes that. What people cannot
 *  see (`shows`) stays as it is: they could not take it back. */
export function reuseSettings(
  batch: BatchRow,
  prompt: string,
  desk: Desk,
  models: readonly ModelInfo[],
  shows: (control: string) => boolean = () => true,
): Reuse {
  const model = models.find((candidate) => candidate.id === batch.model);
  const stays = desk.config.model === batch.model;
  if (model === undefined || !(stays || shows("model"))) {
    const name = model?.title ?? batch.model ?? feedText("batch.imported");
    return { config: {}, changes: [], refused: feedText("reuse.unavailable", { model: name }) };
  }
  const now = desk.config;
  const config: Partial<Config> = {};
  const changes: Change[] = [];
  const change = (name: string, from: string, to: string): void => {
    changes.push({ name, from, to });
  };
  if (!stays) {
    config.model = model.id;
    const before = models.find((candidate) => candidate.id === now.model)?.title ?? now.model;
    change(feedText("reuse.model"), before, model.title);
  }
  const sized = shows("width") && shows("height") && batch.width && batch.height;
  if (sized && (now.width !== batch.width || now.height !== batch.height)) {
    config.width = batch.width;
    config.height = batch.height;
    change(
      feedText("reuse.size"),
      size(now.width, now.height),
      size(batch.width, batch.height),
    );
  }
  const count = Math.min(batch.n, model.max_images);
  if (shows("n") && count > 0 && now.n !== count) {
    config.n = count;
    change(feedText("reuse.images"), String(now.n), String(count));
  }
  if (shows("seed") && model.seeds && now.seed !== batch.seed) {
    config.seed = batch.seed;
    const random = feedText("reuse.seed_random");
    change(feedText("reuse.seed"), now.seed ?? random, batch.seed ?? random);
  }
  const negative = batch.negative_prompt ?? "";
  if (shows("negative_prompt") && model.negative_prompt && now.negative_prompt !== negative) {
    config.negative_prompt = negative;
    change(feedText("reuse.negative"), shown(now.negative_prompt), shown(negative));
  }
  const params: Record<string, unknown> = {};
  const before = stays ? now.params : {};
  let other = !stays;
  for (const parameter of model.parameters) {
    if (parameter.name === "width" || parameter.name === "height") continue;
    const old = before[parameter.name] ?? parameter.default;
    const value = shows(parameter.name) ? (batch.params[parameter.name] ?? parameter.default) : old;
    params[parameter.name] = value;
    if (same(old, value)) continue;
    other = true;
    change(parameter.label || parameter.name, shown(old), shown(value));
  }
  if (other) config.params = params;
  const result: Reuse = { config, changes };
  if (desk.draft.trim() === "" && prompt !== "") {
    result.draft = prompt;
    change(feedText("reuse.prompt"), "", clamped(prompt, 24));
  }
  return result;
}

export function reuseSeed(row: Pick<GenerationRow, "seed">, desk: Desk): Reuse {
  const from = desk.config.seed ?? feedText("reuse.seed_random");
  if (row.seed === null || desk.config.seed === row.seed) return { config: {}, changes: [] };
  const changes = [{ name: feedText("reuse.seed"), from, to: row.seed }];
  return { config: { seed: row.seed }, changes };
}

/** One line: "Steps 20 → 30, Prompt: a red fox". */
export function changesText(reuse: Reuse): string {
  if (reuse.refused !== undefined) return reuse.refused;
  if (reuse.changes.length === 0) return feedText("reuse.nothing");
  const text = ({ from, to }: Change) => (to === "" ? "reuse.emptied" : from === "" ? "reuse.filled" : "reuse.change");
  return reuse.changes.map((change) => feedText(text(change), { ...change })).join(", ");
}
