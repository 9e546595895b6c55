/** What the stub kernel answers to each op, and its made-up jobs. */

import type { BatchRow, Config, GenerationRow, TopicRow } from "../src/protocol";
import * as data from "./stub_data";
import { StubError, type Reply, type StubKernel } from "./stub_kernel";

type Args = Record<string, any>;  // eslint-disable-line @typescript-eslint/no-explicit-any -- a stub
type Handler = (kernel: StubKernel, args: Args, client: string, buffers: ArrayBuffer[]) => Reply | Promise<Reply>;

const ACTING = new Set(["submit", "cancel", "retry", "retry_failed", "resolve", "run_next", "pause", "resume", "delete", "restore", "judge", "topic.create", "topic.update", "project.create", "project.update", "desk.set", "upload.begin", "upload.end"]);
const isOpen = (row: GenerationRow): boolean => ["pending", "queued", "processing"].includes(row.status);
const submitted = new Map<string, object>();
const files = new Map<string, ArrayBuffer>();

function found<T>(value: T | undefined): T {
  if (value === undefined) throw new StubError("not_found", "That is not there any more.");
  return value;
}

function topicFor(kernel: StubKernel, args: Args): TopicRow {
  if (args["topic_id"]) return found(kernel.topics.get(args["topic_id"] as string));
  kernel.next += 1;
  const row = data.topicRow(kernel.next, String(args["prompt"] ?? args["title"] ?? "Untitled").slice(0, 40), 0, 0, Date.now(), null);
  kernel.topics.set(row.id, row);
  kernel.order.set(row.id, []);
  return row;
}

function submit(kernel: StubKernel, args: Args): Reply {
  const before = submitted.get(args["client_key"] as string);
  if (before) return { data: before };
  if (kernel.state === "diskfull") throw new StubError("disk_full", "There is no disk space left. Free some space and try again; nothing was charged.");
  if (kernel.left !== null) {
    if (Number(args["n"] ?? 4) > kernel.left) {
      throw new StubError("limit_reached", "You have made 100 images today, which is the limit here. It starts anew at midnight (UTC).");
    }
    kernel.left -= Number(args["n"] ?? 4);
  }
  if (!String(args["prompt"]).trim()) throw new StubError("invalid_request", "Write what to paint first.", "prompt");
  const topic = topicFor(kernel, args);
  kernel.next += 1;
  const n = Number(args["n"] ?? 4);
  const batch: BatchRow = {
    id: data.id("B", kernel.next), topic_id: topic.id, seq: kernel.next, operation: "generate",
    source: "widget", prompt: String(args["prompt"]).slice(0, 600), prompt_length: String(args["prompt"]).length,
    negative_prompt: (args["negative_prompt"] as string) || null, provider: "sketch",
    model: (args["model"] as string) ?? "sketch", width: (args["width"] as number) ?? 512,
    height: (args["height"] as number) ?? 512, n, seed: (args["seed"] as string) ?? null,
    params: (args["params"] as object as Record<string, unknown>) ?? {}, client_key: args["client_key"] as string,
    created_at: Date.now(), mine: true, rev: 0,
  };
  kernel.addBatch(batch);
  kernel.put("batch", batch);
  const rows = Array.from({ length: n }, (_, index) => {
    const row = { ...data.pendingRow(batch, index), seed: batch.seed ? String(BigInt(batch.seed) + BigInt(index)) : null, rev: 0 };
    kernel.addGeneration(row);
    kernel.put("generation", row);
    return row;
  });
  topic.images += n;
  topic.updated_at = Date.now();
  kernel.put("topic", topic);
  kernel.spend(-2_000_000 * n, "reserved");
  if (!kernel.desk.topic_id) {
    kernel.desk.topic_id = topic.id;
    kernel.pushDesk(null, null);
  }
  const answer = structuredClone({ batch, generations: rows, topic });
  submitted.set(args["client_key"] as string, answer);
  return { data: answer };
}

function again(kernel: StubKernel, row: GenerationRow): GenerationRow {
  kernel.next += 1;
  const batch = found(kernel.batch(row.batch_id));
  const made = { ...data.pendingRow(batch, row.index), id: data.id("G", kernel.next * 1_000_000), seq: kernel.next * 1_000_000, retry_of: row.id, created_at: Date.now(), rev: 0 };
  kernel.addGeneration(made);
  kernel.put("generation", made);
  return made;
}

function cancel(kernel: StubKernel, args: Args): Reply {
  const chosen: GenerationRow[] = args["generation_ids"]
    ? (args["generation_ids"] as string[]).map((id) => found(kernel.generation(id)))
    : [...kernel.generations.values()].filter((row) => (args["batch_id"] ? row.batch_id === args["batch_id"] : args["topic_id"] ? row.topic_id === args["topic_id"] : true) && isOpen(row));
  const open = chosen.filter(isOpen);
  const ended = chosen.filter((row) => !isOpen(row));
  for (const row of open) {
    Object.assign(row, { status: "cancelled", finished_at: Date.now() });
    kernel.put("generation", row);
  }
  return { data: { cancelled: open.map((r) => r.id), already_ended: ended.map((r) => r.id), rows: ended } };
}

function remove(kernel: StubKernel, args: Args): Reply {
  const id = args["id"] as string;
  if (args["entity"] === "generation") {
    const row = found(kernel.generation(id));
    kernel.trash.set(id, { generation: row });
    kernel.generations.delete(id);
    kernel.members.set(row.batch_id, kernel.members.get(row.batch_id)!.filter((x) => x !== id));
    kernel.gone("generation", id, row.rev + 1);
    if (!kernel.rowsOf(row.batch_id).length) remove(kernel, { entity: "batch", id: row.batch_id });
    return { data: { images: 1 } };
  }
  if (args["entity"] === "batch") {
    const batch = found(kernel.batch(id));
    kernel.trash.set(id, { batch });
    kernel.batches.delete(id);
    kernel.order.set(batch.topic_id, kernel.order.get(batch.topic_id)!.filter((x) => x !== id));
    kernel.gone("batch", id, batch.rev + 1);
    return { data: { images: batch.n } };
  }
  const topic = found(kernel.topics.get(id));
  const ids = [...kernel.topics.keys()];
  const next = ids[ids.indexOf(id) + 1] ?? ids[ids.indexOf(id) - 1] ?? null;
  kernel.trash.set(id, { topic });
  kernel.topics.delete(id);
  kernel.gone("topic", id, topic.rev + 1);
  if (kernel.desk.topic_id === id) {
    kernel.desk.topic_id = next;
    kernel.pushDesk(null, null);
  }
  return { data: { images: topic.images, next_topic_id: next } };
}

function restore(kernel: StubKernel, args: Args): Reply {
  const { topic, batch, generation } = found(kernel.trash.get(args["id"] as string));
  kernel.trash.delete(args["id"] as string);
  if (topic) {
    kernel.topics.set(topic.id, topic);
    topic.rev += 1;
    kernel.put("topic", topic);
  }
  if (batch) {
    kernel.batches.set(batch.id, batch);
    const order = [...kernel.order.get(batch.topic_id)!, batch.id].sort().reverse();
    kernel.order.set(batch.topic_id, order);
    batch.rev += 1;
    kernel.put("batch", batch);
    for (const row of kernel.rowsOf(batch.id)) kernel.put("generation", row);
  }
  if (generation) {
    generation.rev += 1;
    kernel.addGeneration(generation);
    const owner = kernel.trash.get(generation.batch_id);
    if (owner) restore(kernel, { id: generation.batch_id });
    kernel.put("generation", generation);
  }
  return {};
}

const TRASH_PAGE = 8;

/** The latest deletion first; a picture whose batch went with it is that batch. */
function trashed(kernel: StubKernel, args: Args): Reply {
  const before = (args["before"] as number | undefined) ?? Infinity;
  const all = [...kernel.trash].filter(([, { generation }]) => !(generation && kernel.trash.has(generation.batch_id)));
  const at = new Map([...kernel.trash.keys()].map((id, place) => [id, kernel.began - 86_400_000 + place * 60_000]));
  const items = all.reverse().map(([id, { topic, batch, generation }]) => {
    const made = batch ?? (generation ? kernel.batch(generation.batch_id) : undefined);
    const picture = generation ?? kernel.rowsOf(id).find((row) => row.asset);
    return {
      entity: topic ? "topic" : batch ? "batch" : "generation", id, title: topic?.title ?? made?.prompt ?? "",
      topic_title: made ? (kernel.topics.get(made.topic_id)?.title ?? "") : "",
      images: topic?.images ?? batch?.n ?? 1, picture_id: topic?.cover_id ?? picture?.id ?? null,
      deleted_at: at.get(id)!, kept_until: at.get(id)! + 30 * 86_400_000,
    };
  }).filter((item) => item.deleted_at < before);
  const older = items.length - TRASH_PAGE;
  return { data: { items: items.slice(0, TRASH_PAGE), ...(older > 0 ? { older } : {}) } };
}

/** Topics beyond a place in the list; the cursor is that place. */
function topics(kernel: StubKernel, args: Args): Reply {
  const all = [...kernel.topics.values()].sort((a, b) => b.updated_at - a.updated_at);
  const [from, most] = [Number(args["cursor"]), Number(args["limit"] ?? kernel.listed)];
  const rest = all.length > from + most ? { cursor: String(from + most), total: all.length } : null;
  return { data: { topics: all.slice(from, from + most), older_topics: rest, total: all.length } };
}

const WIDE = 1_500_000;

async function pictures(kernel: StubKernel, args: Args, preview: boolean): Promise<Reply> {
  const items: object[] = [];
  const buffers: ArrayBuffer[] = [];
  for (const id of args["ids"] as string[]) {
    const row = (args["trash"] ? kernel.trash.get(id)?.generation : undefined) ?? kernel.generation(id);
    if (!row || (!preview && !row.asset)) {
      items.push({ id, error: "not_found" });
      continue;
    }
    const side = preview ? 96 : Number(args["size"] ?? 256);
    const ratio = (row.width ?? 512) / (row.height ?? 512);
    const [w, h] = ratio >= 1 ? [side, side / ratio] : [side * ratio, side];
    buffers.push(await kernel.painter(data.numberOf(row.id) % WIDE, Math.round(w), Math.round(h), preview ? 0.97 - row.progress * 0.5 : 0));
    items.push(preview ? { id, preview: row.preview, mime: "image/webp" } : { id, asset_id: row.asset!.id, mime: "image/webp" });
  }
  return { data: { items }, buffers };
}

async function openFile(kernel: StubKernel, args: Args): Promise<Reply> {
  kernel.next += 1;
  const handle = `f${kernel.next}`;
  if (args["kind"] === "everything") {
    const size = 24_000_000;
    await new Promise((resolve) => setTimeout(resolve, kernel.jobMs / 2)); // it is packed
    files.set(handle, new ArrayBuffer(size));
    return { data: { handle, name: "pictures-2026-11-21.zip", mime: "application/zip", size } };
  }
  if (args["kind"] === "zip") {
    const batch = found(kernel.batch(args["id"] as string));
    files.set(handle, new ArrayBuffer(2_600_000));
    return { data: { handle, name: `${batch.prompt.slice(0, 24)}.zip`, mime: "application/zip", size: 2_600_000 } };
  }
  const row = found(kernel.generation(args["id"] as string));
  const bytes = await kernel.painter(data.numberOf(row.id) % WIDE, row.width ?? 512, row.height ?? 512, 0);
  files.set(handle, bytes);
  return { data: { handle, name: `picture-${row.index + 1}.webp`, mime: "image/webp", size: bytes.byteLength } };
}

const HANDLERS: Record<string, Handler> = {
  submit: (kernel, args) => submit(kernel, args),
  cancel: (kernel, args) => cancel(kernel, args),
  delete: (kernel, args) => remove(kernel, args),
  restore: (kernel, args) => restore(kernel, args),
  retry: (kernel, args) => ({ data: { row: again(kernel, found(kernel.generation(args["generation_id"] as string))) } }),
  retry_failed: (kernel, args) => ({ data: { rows: kernel.latestOf(args["batch_id"] as string).filter((r) => r.status === "failed").map((r) => again(kernel, r)) } }),
  resolve: (kernel, args) => ({ data: { row: found(kernel.generation(args["generation_id"] as string)) } }),
  run_next: () => ({ data: { moved: true } }),
  pause: (kernel) => { kernel.setPaused(true); return { data: { paused: true, jobs: 0 } }; },
  resume: (kernel) => { kernel.setPaused(false); return { data: { paused: false, jobs: 0 } }; },
  judge: (kernel, args) => {
    const row = found(kernel.generation(args["generation_id"] as string));
    for (const key of ["rating", "favourite", "tags"] as const) if (args[key] !== undefined && args[key] !== null) Object.assign(row, { [key]: args[key] });
    kernel.put("generation", row);
    return { data: { row: { ...row } } };
  },
  "topic.create": (kernel, args) => {
    const topic = topicFor(kernel, { title: args["title"] || "Untitled" });
    kernel.put("topic", topic);
    return { data: { topic: { ...topic } } };
  },
  "topic.update": (kernel, args) => {
    const topic = found(kernel.topics.get(args["id"] as string));
    if (args["title"]) Object.assign(topic, { title: args["title"], title_source: "user" });
    if (args["project_id"]) topic.project_id = args["project_id"] as string;
    if (args["cover_generation_id"]) topic.cover_id = args["cover_generation_id"] as string;
    kernel.put("topic", topic);
    return { data: { topic: { ...topic } } };
  },
  "project.create": (kernel, args) => {
    kernel.next += 1;
    const project = { id: data.id("P", kernel.next), title: String(args["title"]), mine: true, rev: 0 };
    kernel.projects.set(project.id, project);
    kernel.put("project", project);
    return { data: { project: { ...project } } };
  },
  "project.update": (kernel, args) => {
    const project = found(kernel.projects.get(args["id"] as string));
    project.title = String(args["title"]);
    kernel.put("project", project);
    return { data: { project: { ...project } } };
  },
  "desk.set": (kernel, args, client) => {
    if (args["config"]) kernel.desk.config = { ...kernel.desk.config, ...(args["config"] as Config) };
    if (args["draft"] !== undefined) kernel.desk.draft = String(args["draft"]);
    if (args["topic_id"] !== undefined) kernel.desk.topic_id = (args["topic_id"] as string) || null;
    if (args["selection"] !== undefined) kernel.desk.selection = args["selection"] as string[];
    if (args["panels"] !== undefined) kernel.desk.panels = { ...kernel.desk.panels, ...(args["panels"] as object) };
    kernel.pushDesk(client, args["n"] as number);
    return { data: { rev: kernel.deskRev } };
  },
  "topic.open": (kernel, args) => {
    if (kernel.state === "feederror") throw new StubError("busy", "Another notebook holds the workspace file. Close it, or use PostgreSQL.");
    const topic = found(kernel.topics.get(args["topic_id"] as string));
    return { data: structuredClone({ ...kernel.feed(topic.id, Number(args["limit"] ?? 20)), topic }) };
  },
  topics,
  page: (kernel, args) => {
    if (kernel.state === "feederror") throw new StubError("busy", "Another notebook holds the workspace file.");
    const limit = Number(args["limit"] ?? 20);
    const order = kernel.order.get(args["topic_id"] as string) ?? [];
    const cursor = args["cursor"] as string;
    const at = order.filter((id) => (args["direction"] === "older" ? id >= cursor : id > cursor)).length;
    const from = args["direction"] === "older" ? at : Math.max(0, at - limit);
    const page = kernel.page(args["topic_id"] as string, from, args["direction"] === "older" ? limit : at - from);
    return { data: structuredClone(page) };
  },
  batch: (kernel, args) => {
    const batch = found(kernel.batch(args["id"] as string));
    return { data: { batch, prompt: batch.prompt } };
  },
  generation: (kernel, args) => {
    const row = found(kernel.generation(args["id"] as string));
    const batch = found(kernel.batch(row.batch_id));
    return { data: { row, batch, prompt: batch.prompt, prompt_sent: null, negative_prompt: batch.negative_prompt, model_title: "Sketch", params: batch.params, duration_s: 3.2, provenance: { painter: "sketch 1", pillow: "12.0", host: "notebook" }, note: "" } };
  },
  walk: (kernel, args) => {
    const row = found(kernel.generation(args["id"] as string));
    const order = kernel.order.get(row.topic_id) ?? [];
    const at = order.indexOf(row.batch_id);
    const outer = args["direction"] === "first" || args["direction"] === "last";
    const forward = args["direction"] === "next" || args["direction"] === "first";
    const limit = Number(args["limit"] ?? 20);
    const near = forward ? order.slice(at, at + limit) : order.slice(Math.max(0, at - limit), at + 1);
    const rows = near.flatMap((id) => kernel.latestOf(id)).filter((r) => r.status === "completed");
    if (outer) {
      const all = order.flatMap((id) => kernel.latestOf(id)).filter((r) => r.status === "completed");
      return { data: { rows: forward ? all.slice(0, limit) : all.slice(-limit), end: all.length <= limit } };
    }
    const i = rows.findIndex((r) => r.id === row.id);
    const part = forward ? rows.slice(i + 1, i + 1 + limit) : rows.slice(Math.max(0, i - limit), i);
    return { data: { rows: part, end: forward ? at + limit >= order.length && i + 1 + limit >= rows.length : at - limit <= 0 && i - limit <= 0 } };
  },
  thumbs: (kernel, args) => pictures(kernel, args, false),
  previews: (kernel, args) => pictures(kernel, args, true),
  estimate: (kernel, args) => {
    const model = data.MODELS.find((m) => m.id === args["model"]) ?? data.MODELS[0]!;
    return { data: { cost_micro: model.price_micro * Number(args["n"] ?? 4), unit: "token", by_provider: false, seconds: 1.6 * Number(args["n"] ?? 4), balance_micro: kernel.balance, images_left: kernel.left } };
  },
  deletion: (kernel, args) => ({ data: { images: kernel.topics.get(args["topic_id"] as string)?.images ?? 0, active: 1 } }),
  active: (kernel, args) => ({
    data: { active: [...kernel.generations.values()].filter((row) => isOpen(row) && (!args["topic_id"] || row.topic_id === args["topic_id"])).length },
  }),
  python: () => ({ data: { text: 'wb.generate("a small boat under a paper moon", model="sketch", n=4, size=(512, 512))' } }),
  prompts: () => ({ data: { prompts: data.PROMPTS.slice(0, 8) } }),
  trash: (kernel, args) => trashed(kernel, args),
  "file.open": (kernel, args) => openFile(kernel, args),
  "file.read": (_kernel, args) => {
    const bytes = found(files.get(args["handle"] as string));
    const offset = Number(args["offset"]);
    const part = bytes.slice(offset, offset + 1024 * 1024);
    return { data: { offset, size: bytes.byteLength, end: offset + part.byteLength >= bytes.byteLength }, buffers: [part] };
  },
  "file.close": (_kernel, args) => { files.delete(args["handle"] as string); return {}; },
  "upload.begin": (kernel) => { kernel.next += 1; return { data: { handle: `u${kernel.next}` } }; },
  "upload.chunk": (_kernel, args, _client, buffers) => ({ data: { received: Number(args["offset"]) + (buffers[0]?.byteLength ?? 0) } }),
  "upload.end": (_kernel, args) => ({ data: { asset: { id: String(args["handle"]).padStart(64, "0"), mime: "image/png", width: 512, height: 512, size_bytes: 1000 }, reference: args["handle"] } }),
  "upload.abort": () => ({}),
};

/** Move every job by `ms`; two pictures are painted at a time. */
function tick(kernel: StubKernel, ms: number): void {
  if (kernel.state === "loading" || kernel.state === "error") return;
  const open = [...kernel.generations.values()].filter(isOpen).sort((a, b) => a.seq - b.seq);
  let running = open.filter((row) => row.status === "processing").length;
  for (const row of open) {
    if (row.status === "pending") {
      if (Date.now() - row.created_at < 400) continue;
      row.status = "queued";
      if (kernel.paused) Object.assign(row, { detail: "paused", detail_key: "paused" });
      kernel.put("generation", row);
    } else if (row.status === "queued" && !kernel.paused && running < 2) {
      running += 1;
      Object.assign(row, { status: "processing", started_at: Date.now(), attempt: row.attempt + 1, total_steps: 20, step: 0, detail: "", detail_key: null });
      kernel.put("generation", row);
    } else if (row.status === "processing") {
      progress(kernel, row, ms);
    }
  }
}

function progress(kernel: StubKernel, row: GenerationRow, ms: number): void {
  row.progress = Math.min(1, row.progress + ms / kernel.jobMs);
  row.step = Math.round(row.progress * 20);
  Object.assign(row, { detail: `step ${row.step} of 20`, detail_key: "step" });
  row.preview = row.progress > 0.15 ? Math.max(row.preview, Math.floor(row.progress * 8)) : 0;
  const batch = kernel.batch(row.batch_id);
  if (row.progress >= 1 && batch) {
    Object.assign(row, { status: "completed", finished_at: Date.now(), detail: "", detail_key: null, asset: data.assetOf(row.id, batch), cost_micro: 2_000_000, seed: row.seed ?? String(row.seq * 7919) });
    const topic = kernel.topics.get(row.topic_id);
    if (topic && !topic.cover_id) {
      topic.cover_id = row.id;
      kernel.put("topic", topic);
    }
  }
  kernel.put("generation", row);
}

/** Make the past of some states: failures, running jobs. */
function dress(kernel: StubKernel): void {
  const order = kernel.order.get(data.id("T", 1)) ?? [];
  const failed = (row: GenerationRow | undefined, kind: string, message: string, charged = false): void => {
    if (row) Object.assign(row, { status: "failed", asset: null, error: { kind, message, charged } });
  };
  if (kernel.state === "huge") return;
  failed(kernel.latestOf(order[1]!)[3], "refused", "Blocked by the provider.");
  Object.assign(kernel.latestOf(order[2]!)[1] ?? {}, { status: "cancelled", asset: null });
  Object.assign(kernel.latestOf(order[1]!)[0] ?? {}, { favourite: true, rating: 4, tags: ["keep"] });
  if (kernel.state === "failed") {
    const texts = ["The service is overloaded. Retry in a minute.", "OPENAI_API_KEY is not set; set it or choose another provider.", "Whether Lantern made and charged it is not known.", "Lantern did not finish within 120 s. Retry, or ask for less. This explanation is a long one so that the card has to cope with several lines of text."];
    for (const [i, text] of texts.entries()) failed(kernel.latestOf(order[0]!)[i], i === 2 ? "unknown_outcome" : "provider", text, i === 2);
    for (const row of kernel.latestOf(order[3]!)) failed(row, "provider", "Lantern refused the prompt.");
  }
  const count = { normal: 1, active: 4, paused: 2, queue: 2 }[kernel.state as string] ?? 0;
  for (let i = count; i > 0; i--) {
    const { batch } = submit(kernel, { topic_id: data.id("T", 1), prompt: data.PROMPTS[i - 1], n: 4, client_key: `seed-${kernel.state}-${i}-${Math.random()}` }).data as { batch: BatchRow };
    if (i !== 1 || kernel.paused) continue;
    const rows = kernel.rowsOf(batch.id);
    rows.forEach((row) => (row.created_at -= 1000));
    Object.assign(rows[0]!, { status: "completed", progress: 1, attempt: 1, asset: data.assetOf(rows[0]!.id, batch), seed: "7", finished_at: Date.now() });
    Object.assign(rows[1]!, { status: "processing", progress: 0.55, attempt: 1, step: 11, total_steps: 20, preview: 4, started_at: Date.now() });
    if (rows[2]) Object.assign(rows[2], { status: "queued" });
  }
}

export const OPERATIONS = {
  isOpen,
  isActing: (op: string): boolean => ACTING.has(op),
  tick,
  dress,
  topics,
  async run(kernel: StubKernel, op: string, args: Args, client: string, buffers: ArrayBuffer[]): Promise<Reply> {
    const handler = HANDLERS[op];
    if (!handler) throw new StubError("bad_message", `unknown op ${op}`);
    return handler(kernel, args, client, buffers);
  },
};
