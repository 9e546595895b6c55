/** Made-up rows for the stub kernel. Ids have the shape of ULIDs and sort by age. */

import type {
  BatchRow, Config, Desk, GenerationRow, ModelInfo, ProjectRow, ProviderInfo, TopicRow,
} from "../src/protocol";
import { random } from "./paint";

export const PROMPTS = [
  "a small boat under a paper moon, calm sea, mountains behind",
  "sailing home at sunset, layered hills, warm light",
  "pine forest in the morning mist",
  "a village by the lake, first snow, smoke from the chimneys",
  "harbour at dawn, three fishing boats, gulls",
  "stormy sky above the cliffs, a single lighthouse",
  "desert dunes in the evening, long shadows",
  "a quiet fjord at midnight, stars mirrored in the water",
  "terraced fields after the rain, seen from above",
  "an orchard in bloom, soft pastel colours, painterly",
  "red cabin on an island, autumn, still water",
  "the old bridge over the river, watercolour, muted palette; the far bank dissolves into haze, two anglers sit on the left bank, and a heron stands in the shallows with its neck drawn in, waiting for the light to change before it moves again",
];
export const EXAMPLES = [
  "a red fox asleep in fresh snow, morning light",
  "harbour town at dusk, lamps on the water",
  "a paper boat on a calm lake, mountains behind",
];

const HOUR = 3_600_000;

export function id(kind: string, number: number): string {
  return `01J${kind}${String(number).padStart(22, "0")}`;
}
export const numberOf = (value: string): number => Number(value.slice(4));

export const MODELS: ModelInfo[] = [
  {
    id: "sketch", provider: "sketch", name: "sketch", title: "Sketch",
    help: "Paints small landscapes on this machine, free of charge.", max_images: 8, max_references: 2,
    negative_prompt: true, seeds: true, price_micro: 2_000_000, unit: "token", by_provider: false, operations: ["generate"],
    parameters: [
      parameter("width", "integer", 512, 256, 1024, 64, { label: "Width", unit: "px", group: "size" }),
      parameter("height", "integer", 512, 256, 1024, 64, { label: "Height", unit: "px", group: "size" }),
      parameter("steps", "integer", 20, 1, 60, 1, { label: "Steps", help: "More steps, finer strokes." }),
      parameter("style", "choice", "painterly", null, null, null, { label: "Style", choices: ["painterly", "flat", "ink", "pastel"] }),
      parameter("palette", "number", 0.7, 0, 1, 0.05, { label: "Palette", help: "0 = muted, 1 = vivid." }),
      parameter("grain", "number", 0.2, 0, 1, 0.1, { label: "Grain", advanced: true }),
    ],
  },
  {
    id: "lantern/turbo", provider: "lantern", name: "turbo", title: "Lantern Turbo",
    help: "A hosted model; costs a little, takes two seconds.", max_images: 4, max_references: 4,
    negative_prompt: false, seeds: false, price_micro: 3_500_000, unit: "token", by_provider: false, operations: ["generate"],
    parameters: [
      parameter("width", "integer", 1024, 512, 1536, 64, { label: "Width", unit: "px", group: "size" }),
      parameter("height", "integer", 1024, 512, 1536, 64, { label: "Height", unit: "px", group: "size" }),
      parameter("steps", "integer", 8, 4, 16, 1, { label: "Steps" }),
      parameter("raw", "boolean", false, null, null, null, { label: "Raw", help: "No beautifying.", advanced: true }),
    ],
  },
];
export const PROVIDERS: ProviderInfo[] = [
  { name: "sketch", title: "Built in", ready: true, code: "", message: "" },
  { name: "lantern", title: "Lantern", ready: true, code: "", message: "" },
  { name: "openai", title: "OpenAI", ready: false, code: "no_key", message: "OPENAI_API_KEY is not set; set it or choose another provider." },
];
export const PROJECTS: ProjectRow[] = [
  { id: id("P", 1), title: "Default", mine: true, rev: 1 },
  { id: id("P", 2), title: "Figures for the paper", mine: true, rev: 1 },
];

function parameter(
  name: string, kind: ModelInfo["parameters"][number]["kind"], fallback: unknown,
  minimum: number | null, maximum: number | null, step: number | null,
  more: Partial<ModelInfo["parameters"][number]>,
): ModelInfo["parameters"][number] {
  return {
    name, kind, default: fallback, minimum, maximum, step, choices: [], unit: "", label: name,
    help: "", group: "", advanced: false, ...more,
  };
}

export function startConfig(): Config {
  return {
    model: "sketch", n: 4, seed: null, width: 512, height: 512, ratio_lock: false,
    negative_prompt: "", params: { steps: 20, style: "painterly", palette: 0.7, grain: 0.2 },
  };
}
export function startDesk(topicId: string | null): Desk {
  return { config: startConfig(), draft: "", topic_id: topicId, selection: [], panels: {}, dropped: [], remark: "" };
}

export function topicRow(number: number, title: string, images: number, age: number, now: number, cover: string | null, project = 1): TopicRow {
  return {
    id: id("T", number), project_id: id("P", project), title, title_source: "prompt",
    cover_id: cover, cover_asset: cover ? assetId(cover) : null, images, visibility: "private",
    mine: true, created_at: now - age - HOUR, updated_at: now - age, rev: 1,
  };
}

export const assetId = (generation: string): string => generation.slice(3).toLowerCase().padStart(64, "0");

const SIZES: [number, number][] = [[512, 512], [768, 512], [512, 512], [512, 768], [1024, 576], [512, 512], [576, 1024], [640, 480]];

/** Batch `number` of a topic; the greater the number the newer. Deterministic. */
export function batchRow(topicId: string, number: number, now: number, age: number): BatchRow {
  const next = random(number + 11);
  const [width, height] = SIZES[Math.floor(next() * SIZES.length)]!;
  const prompt = PROMPTS[(number * 7) % PROMPTS.length]!;
  return {
    id: id("B", number), topic_id: topicId, seq: number, operation: "generate", source: "widget",
    prompt, prompt_length: prompt.length, negative_prompt: null, provider: "sketch", model: "sketch",
    width, height, n: number % 5 === 0 ? 2 : number % 7 === 0 ? 1 : 4, seed: null,
    params: { steps: 20, style: "painterly", palette: 0.7 }, client_key: null,
    created_at: now - age, mine: true, rev: 1,
  };
}

/** The generations of a batch, all completed. */
export function generationRows(batch: BatchRow): GenerationRow[] {
  return Array.from({ length: batch.n }, (_, index) => ({
    ...pendingRow(batch, index),
    status: "completed" as const, progress: 1, step: 20, total_steps: 20, attempt: 1,
    seed: String(BigInt(numberOf(batch.id)) * 7919n + BigInt(index)),
    asset: assetOf(id("G", batch.seq * 16 + index), batch),
    cost_micro: 2_000_000, started_at: batch.created_at + 200, finished_at: batch.created_at + 3200,
  }));
}

export function assetOf(generation: string, batch: BatchRow): NonNullable<GenerationRow["asset"]> {
  return {
    id: assetId(generation), mime: "image/webp", width: batch.width ?? 512,
    height: batch.height ?? 512, size_bytes: 240_000,
  };
}

export function pendingRow(batch: BatchRow, index: number): GenerationRow {
  return {
    id: id("G", batch.seq * 16 + index), batch_id: batch.id, topic_id: batch.topic_id, index,
    seq: batch.seq * 16 + index, operation: "generate", source: "widget", status: "pending",
    detail: "", detail_key: null, progress: 0, step: null, total_steps: null, attempt: 0,
    preview: 0, seed: null, width: batch.width, height: batch.height, model: batch.model,
    asset: null, error: null, cost_micro: 0, unit: "token", retry_of: null,
    created_at: batch.created_at, started_at: null, finished_at: null, rating: 0,
    favourite: false, tags: [], mine: true, rev: 1,
  };
}
