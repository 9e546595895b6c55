/** The messages between page and kernel; mirrors workbench/widgets/protocol.py (a test compares). */

export const VERSION = 1;
export const PING_EVERY_MS = 700;
export const LOST_AFTER_MS = 2000;
export const FILE_CHUNK_BYTES = 1024 * 1024;
export const UPLOAD_CHUNK_BYTES = 1024 * 1024;

export const OPS = [
  "hello", "since", "pong", "ack", "probe", "abort", "bye", "bundle", "full_esm",
  "topic.open", "topics", "page", "batch", "generation", "walk", "thumbs", "previews", "estimate",
  "deletion", "active", "python", "prompts", "trash", "spend", "file.open", "file.read", "file.close",
  "submit", "cancel", "retry", "retry_failed", "resolve", "run_next", "pause", "resume",
  "delete", "restore", "judge", "topic.create", "topic.update", "project.create",
  "project.update", "desk.set",
  "providers", "provider.test", "provider.refresh", "provider.set", "provider.key", "provider.forget",
  "upload.begin", "upload.chunk", "upload.end", "upload.abort",
] as const;
export type Op = (typeof OPS)[number];

export const PUSHES = ["ping", "probe", "delta", "desk", "notice", "feed", "open", "closed"] as const;

export type Status = "pending" | "queued" | "processing" | "completed" | "failed" | "cancelled";

export interface AssetInfo { id: string; mime: string; width: number; height: number; size_bytes: number }
export interface FailureInfo { kind: string; message: string; charged: boolean }

export interface GenerationRow {
  id: string; batch_id: string; topic_id: string; index: number; seq: number;
  operation: string; source: string; status: Status;
  detail: string; detail_key: string | null;
  progress: number; step: number | null; total_steps: number | null; attempt: number; preview: number;
  seed: string | null; width: number | null; height: number | null; model: string | null;
  asset: AssetInfo | null; error: FailureInfo | null;
  cost_micro: number; unit: string | null; retry_of: string | null;
  created_at: number; started_at: number | null; finished_at: number | null;
  rating: number; favourite: boolean; tags: string[]; mine: boolean; rev: number;
}
export interface BatchRow {
  id: string; topic_id: string; seq: number; operation: string; source: string;
  /** At most 600 characters; `prompt_length` tells whether there is more. */
  prompt: string; prompt_length: number; negative_prompt: string | null;
  provider: string | null; model: string | null; width: number | null; height: number | null;
  n: number; seed: string | null; params: Record<string, unknown>; client_key: string | null;
  created_at: number; mine: boolean; rev: number;
}
export interface TopicRow {
  id: string; project_id: string; title: string; title_source: string;
  cover_id: string | null; cover_asset: string | null; images: number;
  visibility: string; mine: boolean; created_at: number; updated_at: number; rev: number;
}
export interface ProjectRow { id: string; title: string; mine: boolean; rev: number }
export interface BalanceRow {
  unit: string; amount_micro: number; change_micro: number; reason: string; transaction_id: string | null;
}
export interface QueueRow {
  paused: boolean;
  /** Images of anybody that will be begun before the user's first waiting one; null: none waits. */
  ahead?: number | null;
}

export type DeltaRow =
  | { e: "generation"; id: string; k: "put"; rev: number; d: GenerationRow }
  | { e: "batch"; id: string; k: "put"; rev: number; d: BatchRow }
  | { e: "topic"; id: string; k: "put"; rev: number; d: TopicRow }
  | { e: "project"; id: string; k: "put"; rev: number; d: ProjectRow }
  | { e: "balance"; id: string; k: "put"; rev: number; d: BalanceRow }
  | { e: "queue"; id: string; k: "put"; rev: number; d: QueueRow }
  | { e: "models"; id: string; k: "put"; rev: number; d: Record<string, never> }
  | { e: "generation" | "batch" | "topic" | "project"; id: string; k: "gone"; rev: number };

export interface Delta { prev: string; cursor: string; rows: DeltaRow[]; more: boolean; reset: boolean }

export interface FeedPage {
  /** Newest first. */
  batches: BatchRow[];
  /** The latest generation of every index of these batches. */
  generations: GenerationRow[];
  /** Cursor for direction "older" resp. "newer"; null at that end. */
  older: string | null; newer: string | null;
}
export interface TopicFeed extends FeedPage {
  topic_id: string;
  /** Ids of all batches of the topic with something that has not ended, newest first; their rows
   *  are among `batches` even when they are older than the page. */
  active: string[];
}

/** What lies beyond the topics that are listed: where it begins, and how many there are in all. */
export interface OlderTopics { cursor: string; total: number }
export interface TopicsAnswer { topics: TopicRow[]; older_topics: OlderTopics | null; total: number }

export interface ParameterInfo {
  name: string; kind: "integer" | "number" | "choice" | "boolean" | "text" | "json";
  default: unknown; minimum: number | null; maximum: number | null; step: number | null;
  choices: (string | number | boolean)[]; unit: string; label: string; help: string; group: string;
  advanced: boolean;
}
export interface ModelInfo {
  id: string; provider: string; name: string; title: string; help: string;
  max_images: number; max_references: number; negative_prompt: boolean; seeds: boolean;
  /** Of one picture with all defaults; `by_provider`: an estimate of what the provider bills. */
  price_micro: number; unit: string; by_provider: boolean;
  operations: string[];
  /** Hidden ones are missing; width and height are among them where the size can be chosen. */
  parameters: ParameterInfo[];
}
/** What `providers` answers, and everything that sets one up: as it is now. Never a key. */
export interface ProviderSettings extends ProviderInfo {
  help: string; models: number; concurrency: number;
  /** Null: it has no server of its own. `set_base_url`: null where it is as it came. */
  base_url: string | null; set_base_url: string | null;
  takes_key: boolean;
  /** The name of a variable, "keyring", "file", "code"; null: there is none. */
  key_place: string | null;
  testable: boolean; refreshable: boolean;
}
export interface ProvidersAnswer {
  providers: ProviderSettings[]; models: ModelInfo[]; may_set: boolean; message: string;
}
export interface ProviderInfo { name: string; title: string; ready: boolean; code: string; message: string }

export interface Config {
  model: string; n: number; seed: string | null; width: number | null; height: number | null;
  ratio_lock: boolean; negative_prompt: string; params: Record<string, unknown>;
}
export interface Panels {
  config_open?: boolean; topics_open?: boolean; config_width?: number; topics_width?: number;
}
export interface Desk {
  config: Config; draft: string; topic_id: string | null; selection: string[]; panels: Panels;
  /** Names of settings that the last change of model did not keep, and a sentence about it. */
  dropped: string[]; remark: string;
}
export interface DeskPush { rev: number; desk: Desk; from_client: string | null; from_n: number | null }

/** What a visitor may make; null is no limit, 0 nothing. `images_left`: of today (UTC). */
export interface VisitorLimits {
  images_per_day: number | null; images_left: number | null;
  unfinished: number | null; queue: number | null;
}

export interface Hello {
  version: number; widget: string;
  /** `trash_days`: how long what was deleted can be restored. */
  workspace: { id: string; title: string; temporary: boolean; trash_days: number };
  /** How it is known who the user is. */
  identity: "local" | "jupyterhub" | "header" | "anonymous";
  voila: boolean;
  /** Whether the user may set providers up here; visitors and pages of the app may not. */
  may_set_providers?: boolean;
  /** Null for whoever is no visitor. A request beyond them is refused with "limit_reached". */
  limits?: VisitorLimits | null;
  user: string; cursor: string; now: number;
  desk: Desk; desk_rev: number;
  models?: ModelInfo[]; providers?: ProviderInfo[]; projects?: ProjectRow[]; topics?: TopicRow[];
  /** There are topics beyond `topics`; null: that is all. */
  older_topics?: OlderTopics | null;
  feed?: TopicFeed | null; balances?: BalanceRow[]; queue?: QueueRow; examples?: string[];
}

/** `images_left`: of today, for visitors; null is no limit. `refusal`: why it would be refused now. */
export interface Estimate { cost_micro: number; unit: string; by_provider: boolean; seconds: number | null; balance_micro: number | null; images_left?: number | null; refusal?: string }
export interface Submitted { batch: BatchRow; generations: GenerationRow[]; topic: TopicRow }
/** What was deleted: `images` went with it, and the picture of one stands for it. */
export interface TrashedRow {
  entity: "generation" | "batch" | "topic" | "project"; id: string;
  /** Of a topic or project; else the prompt, of which `topic_title` says where it was. */
  title: string; topic_title: string; images: number; picture_id: string | null;
  deleted_at: number; kept_until: number;
}
/** A page of the trash; `older`: how many were deleted before its last one. */
export interface TrashAnswer { items: TrashedRow[]; older?: number }
export interface PictureAnswer { items: { id: string; asset_id?: string; preview?: number; mime?: string; error?: string }[] }
/** What `file.open` opens; "everything" (all of one's pictures in one ZIP) goes without an id. */
export type FileKind = "original" | "image" | "zip" | "everything";
export interface OpenedFile { handle: string; name: string; mime: string; size: number }
export type SpendBy = "day" | "provider" | "model" | "topic";
/** `what`: a day (2026-11-21, of UTC), a provider, a model or a topic's title. `not_known`: of the images, billed an amount that nobody knows. */
export interface SpendRow { what: string; unit: string; spent_micro: number; images: number; not_known: number }
export interface CapRow {
  scope: "everybody" | "user" | "topic";
  /** Of the topic. */
  title: string;
  unit: string; per: "day" | "total"; limit_micro: number; spent_micro: number;
}
/** The largest first, days the latest first; `more`: rows that were left out. */
export interface SpendAnswer { rows: SpendRow[]; more: number; caps: CapRow[]; balances: BalanceRow[] }
export interface Deletion { images: number; active: number }
/** How many of one's own images have not ended, of a topic or of all of them. */
export interface Active { active: number }
/** `rows`: some of what had ended before. */
export interface Cancelled { cancelled: string[]; already_ended: string[]; rows: GenerationRow[] }
/** What the lightbox shows beyond the row. */
export interface GenerationDetails {
  row: GenerationRow; batch: BatchRow; prompt: string; prompt_sent: string | null;
  negative_prompt: string | null; model_title: string; params: Record<string, unknown>;
  duration_s: number | null; provenance: Record<string, unknown>; note: string;
}

export interface Failure { code: string; message: string; field?: string | null }
