/** The facts of one image as the lightbox lists them: a name and what to read beside it. */

import type { GenerationDetails, GenerationRow, ModelInfo } from "../protocol";
import { feedText } from "../texts_feed";
import { bytes, duration, modelTitle, moment, money, size } from "./words";

export interface Fact {
  name: string;
  value: string;
  /** Long text: below its name, over the whole width. */
  long?: boolean;
}

function shown(value: unknown): string {
  if (value === null || value === undefined || value === "") return "–";
  if (typeof value === "number") return String(Math.round(value * 1000) / 1000);
  return typeof value === "string" ? value : JSON.stringify(value);
}

const sentence = (name: string): string => {
  const words = name.replace(/[_-]+/g, " ").trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
};

const text = (value: unknown): string => (typeof value === "string" ? value : "");

/** In the order of the mock-up; what is not known is left out. `simple`: for people who see no
 *  notebook, so neither where it ran nor what only its author can set. */
export function factsOf(
  row: GenerationRow,
  details: GenerationDetails | null,
  models: readonly ModelInfo[],
  simple = false,
): Fact[] {
  const facts: Fact[] = [];
  const add = (name: string, value: string, long = false): void => {
    if (value !== "") facts.push(long ? { name, value, long } : { name, value });
  };
  add(feedText("box.model"), details?.model_title ?? modelTitle(row.model, models));
  const real = size(row.asset?.width ?? row.width, row.asset?.height ?? row.height);
  add(feedText("box.size"), real);
  if (row.seed !== null) add(feedText("box.seed"), row.seed);
  const model = models.find((candidate) => candidate.id === row.model);
  for (const [name, value] of Object.entries(details?.params ?? {})) {
    if (name === "width" || name === "height") continue;
    const known = model?.parameters.find((parameter) => parameter.name === name);
    if (simple && (known === undefined || known.advanced)) continue;
    add(known?.label || sentence(name), shown(value));
  }
  const seconds =
    details?.duration_s ??
    (row.started_at !== null && row.finished_at !== null
      ? (row.finished_at - row.started_at) / 1000
      : null);
  if (seconds !== null) add(feedText("box.time"), duration(seconds));
  if (row.unit !== null) {
    const none = feedText(row.unit !== "token" && row.status === "completed" ? "box.cost_unknown" : "box.cost_free");
    add(feedText("box.cost"), row.cost_micro === 0 ? none : money(row.cost_micro, row.unit));
  }
  if (row.operation !== "generate") add(feedText("box.operation"), sentence(row.operation));
  add(feedText("box.created"), moment(row.finished_at ?? row.created_at));
  if (row.asset !== null) {
    const kind = row.asset.mime.replace(/^image\//, "").toUpperCase();
    add(feedText("box.file"), `${kind} · ${bytes(row.asset.size_bytes)}`);
  }
  add(feedText("box.negative"), text(details?.negative_prompt), true);
  const sent = text(details?.prompt_sent);
  if (sent !== details?.prompt) add(feedText("box.prompt_sent"), sent, true);
  add(feedText("box.note"), text(details?.note), true);
  return simple ? facts : [...facts, ...provenance(details?.provenance ?? {})];
}

/** Where it was asked for: notebook and cell on one line, the commit short, versions together. */
function provenance(known: Record<string, unknown>): Fact[] {
  const facts: Fact[] = [];
  const rest = new Map(Object.entries(known));
  const take = (...names: string[]): string => {
    for (const name of names) {
      const value = rest.get(name);
      rest.delete(name);
      if (value !== undefined && value !== null && value !== "") return shown(value);
    }
    return "";
  };
  const notebook = take("notebook").replace(/\.ipynb$/, "");
  const cell = take("execution_count", "cell");
  rest.delete("cell_id");
  if (notebook !== "") {
    const value = cell === "" ? notebook : feedText("box.cell", { notebook, cell });
    facts.push({ name: feedText("box.notebook"), value });
  }
  const commit = take("git_commit", "commit");
  if (commit !== "") facts.push({ name: feedText("box.commit"), value: commit.slice(0, 7) });
  const versions = [...rest]
    .filter(([, value]) => typeof value === "string" || typeof value === "number")
    .map(([name, value]) => `${name} ${shown(value)}`);
  if (versions.length > 0) {
    facts.push({ name: feedText("box.with"), value: versions.join(", ") });
  }
  return facts;
}
