import { describe, expect, it } from "vitest";

import { blocksOf, movedBetween } from "../src/feed/blocks";
import { factsOf } from "../src/feed/details";
import { step, type Step } from "../src/feed/navigation";
import { ratioText } from "../src/feed/ratio";
import { changesText, reuseSeed, reuseSettings } from "../src/feed/reuse";
import * as words from "../src/feed/words";
import type { BatchRow, Config, GenerationRow, ModelInfo } from "../src/protocol";

const NOW = Date.UTC(2026, 10, 21, 12);

function generation(values: Partial<GenerationRow> = {}): GenerationRow {
  return {
    id: "g1", batch_id: "b1", topic_id: "t1", index: 0, seq: 1, operation: "generate",
    source: "widget", status: "completed", detail: "", detail_key: null, progress: 1, step: null,
    total_steps: null, attempt: 1, preview: 0, seed: "8", width: 512, height: 512, model: "sketch",
    asset: null, error: null, cost_micro: 2_000_000, unit: "token", retry_of: null,
    created_at: NOW - 5000, started_at: NOW - 4000, finished_at: NOW - 2000, rating: 0,
    favourite: false, tags: [], mine: true, rev: 1, ...values,
  };
}

function batch(values: Partial<BatchRow> = {}): BatchRow {
  return {
    id: "b1", topic_id: "t1", seq: 1, operation: "generate", source: "widget", prompt: "a fox",
    prompt_length: 5, negative_prompt: null, provider: "builtin", model: "sketch", width: 512,
    height: 512, n: 4, seed: null, params: { steps: 30, fail: [1] }, client_key: null,
    created_at: NOW, mine: true, rev: 1, ...values,
  };
}

describe("numbers as people read them", () => {
  it("money", () => {
    expect(words.money(8_000_000, "token")).toBe("8 tokens");
    expect(words.money(1_000_000, "token")).toBe("1 token");
    expect(words.money(1_250_500_000, "token")).toBe("1,250.5 tokens");
    expect(words.money(40_000, "USD")).toBe("$0.04");
    expect(words.money(4_500, "USD")).toBe("$0.0045");
    expect(words.money(12_300_000, "USD")).toBe("$12.30");
  });

  it("times", () => {
    expect([0.04, 0.8, 3.24, 12.6, 200, 3700].map(words.duration)).toEqual([
      "0.1 s", "0.8 s", "3.2 s", "13 s", "3 min 20 s", "1 h 1 min",
    ]);
    const before = (seconds: number) => words.ago(NOW - seconds * 1000, NOW);
    expect([0, 44, 60, 240, 7200].map(before)).toEqual([
      "just now", "just now", "1 min ago", "4 min ago", "2 h ago",
    ]);
    expect(before(26 * 3600)).toBe("yesterday");
    expect(before(3 * 86_400)).toBe("Wed");
    expect(before(40 * 86_400)).toBe("12 Oct");
    expect(words.ago(NOW + 3000, NOW)).toBe("just now");
  });

  it("a batch costs what was booked: failures do not", () => {
    const failed = { kind: "blocked", message: "no", charged: false };
    const rows = [generation(), generation(), generation({ status: "failed", error: failed })];
    expect(words.cost(rows)).toBe("4 tokens");
    expect(words.cost([generation({ status: "failed", error: { ...failed, charged: true } })])).toBe("2 tokens");
    expect(words.cost([generation({ unit: null })])).toBe("");
  });

  it.each([
    [512, 512, "1:1"],
    [1024, 768, "4:3"],
    [512, 768, "2:3"],
    [1920, 1080, "16:9"],
    [1344, 768, "7:4"],
    [832, 1216, "13:19"],
    [1365, 768, "≈ 16:9"],
    [720, 1281, "≈ 9:16"],
    [1000, 333, "≈ 3:1"],
    [1920, 800, "12:5"],
    [2560, 1080, "2.37:1"],
    [1024, 700, "1.46:1"],
    [700, 1024, "1:1.46"],
  ])("%i × %i is %s: exact, or nearly and so said, or in figures", (width, height, told) => {
    expect(ratioText(width, height)).toBe(told);
  });

  it("a batch has the size that was asked for, else the one that all its images have", () => {
    const asset = { id: "a", mime: "image/png", width: 640, height: 480, size_bytes: 1 };
    const free = batch({ width: null, height: null });
    expect(words.shapeOf(batch(), [generation({ asset })])).toEqual([512, 512]);
    expect(words.shapeOf(free, [generation({ asset }), generation(), generation({ asset })])).toEqual([640, 480]);
    expect(words.shapeOf(free, [generation({ asset }), generation({ asset: { ...asset, width: 641 } })])).toBeNull();
    expect(words.shapeOf(free, [generation()])).toBeNull();
  });

  it.each([
    [{}, "2 tokens"],
    [{ cost_micro: 42_000, unit: "USD" }, "$0.042"],
    [{ cost_micro: 0 }, "free"],
    [{ cost_micro: 0, unit: "USD" }, "billed by the provider"],
    [{ unit: null }, undefined],
  ])("each image says what it cost: %o", (values: Partial<GenerationRow>, told) => {
    const facts = factsOf(generation(values), null, []);
    expect(facts.find((fact) => fact.name === "Cost")?.value).toBe(told);
  });

  it("the time left is a range around the pace of the batch's own images", () => {
    const running = generation({ status: "processing", progress: 0.5, finished_at: null, started_at: NOW - 2000 });
    const queued = generation({ status: "queued", progress: 0, started_at: null, finished_at: null });
    const left = words.secondsLeft([generation(), running, queued], NOW);
    expect(left).not.toBeNull();
    expect(left!.from).toBeLessThan(left!.to);
    expect(words.secondsLeft([queued], NOW)).toBeNull();
    expect(words.secondsLeft([generation({ status: "processing", detail_key: "outcome_unknown" })], NOW)).toBeNull();
  });

  it("prompts that go on are counted in code points, as Python counts", () => {
    expect(words.hasMore({ prompt: "🦊🦊", prompt_length: 2 })).toBe(false);
    expect(words.hasMore({ prompt: "🦊🦊", prompt_length: 3 })).toBe(true);
  });
});

describe("one list of blocks", () => {
  it("has each batch once, and names it by its client key", () => {
    const blocks = blocksOf(["a", "b"], ["b", "c"], (id) => (id === "a" ? "key" : id));
    expect(blocks.map(({ key, section, lead }) => [key, section, lead])).toEqual([
      ["key", "active", true], ["b", "active", false], ["c", "history", true],
    ]);
  });

  it("tells which ones changed their section", () => {
    const before = blocksOf(["a", "b"], ["c"], (id) => id);
    const after = blocksOf(["a"], ["b", "c"], (id) => id);
    expect([...movedBetween(before, after)]).toEqual(["b"]);
  });
});

describe("where the arrow keys lead", () => {
  const counts = [4, 3, 0, 6];
  const grid = { columns: 4, blocks: 4, cards: (block: number) => counts[block] ?? 0 };
  const go = (block: number, index: number, direction: Step) => {
    const to = step(grid, { block, index }, direction);
    return to && [to.block, to.index];
  };

  it("goes on into the next batch and skips empty ones", () => {
    expect(go(0, 3, "right")).toEqual([1, 0]);
    expect(go(1, 2, "right")).toEqual([3, 0]);
    expect(go(3, 0, "left")).toEqual([1, 2]);
    expect(go(0, 0, "left")).toBeNull();
  });

  it("keeps the column up and down, as far as there is one", () => {
    expect(go(0, 3, "down")).toEqual([1, 2]);
    expect(go(3, 3, "down")).toEqual([3, 5]);
    expect(go(3, 5, "up")).toEqual([3, 1]);
    expect(go(3, 1, "up")).toEqual([1, 1]);
    expect(go(3, 5, "down")).toBeNull();
  });

  it("knows the ends and whole batches", () => {
    expect(go(1, 1, "home")).toEqual([0, 0]);
    expect(go(1, 1, "end")).toEqual([3, 5]);
    expect(go(1, 1, "pagedown")).toEqual([3, 0]);
    expect(go(1, 1, "pageup")).toEqual([0, 0]);
  });
});

describe("reusing settings", () => {
  const model = {
    id: "sketch", provider: "builtin", name: "sketch", title: "Sketch", help: "", max_images: 4,
    max_references: 0, negative_prompt: true, seeds: true, price_micro: 0, unit: "token", by_provider: false, operations: ["generate"],
    parameters: [
      { name: "steps", kind: "integer", default: 20, minimum: 1, maximum: 60, step: 1, choices: [], unit: "", label: "Steps", help: "", group: "", advanced: false },
    ],
  } satisfies ModelInfo;
  const config: Config = {
    model: "sketch", n: 4, seed: null, width: 768, height: 768, ratio_lock: true,
    negative_prompt: "", params: {},
  };

  it("says what will change and takes nothing along that the model hides", () => {
    const reuse = reuseSettings(batch(), "a fox", { config, draft: "mine" }, [model]);
    expect(changesText(reuse)).toBe("Size 768 × 768 → 512 × 512, Steps 20 → 30");
    expect(reuse.config).toEqual({ width: 512, height: 512, params: { steps: 30 } });
    expect(reuse.draft).toBeUndefined();
  });

  it("brings the prompt only into an empty box", () => {
    const reuse = reuseSettings(batch(), "a fox", { config, draft: "  " }, [model]);
    expect(reuse.draft).toBe("a fox");
    expect(changesText(reuse)).toBe("Size 768 × 768 → 512 × 512, Steps 20 → 30, Prompt: a fox");
  });

  it("of what is empty before or afterwards it says the other only", () => {
    const same = { ...config, width: 512, height: 512, params: { steps: 30 } };
    const foggy = reuseSettings(batch({ negative_prompt: "fog" }), "", { config: same, draft: "x" }, [model]);
    expect(changesText(foggy)).toBe("Negative prompt: fog");
    const clear = reuseSettings(batch(), "", { config: { ...same, negative_prompt: "fog" }, draft: "x" }, [model]);
    expect(changesText(clear)).toBe("Negative prompt: none");
  });

  it("says so when nothing changes or the model is not there", () => {
    const same = { ...config, width: 512, height: 512, params: { steps: 30 } };
    const reuse = reuseSettings(batch(), "a fox", { config: same, draft: "x" }, [model]);
    expect([reuse.config, changesText(reuse)]).toEqual([{}, "Already set like this"]);
    expect(reuseSettings(batch({ model: "gone" }), "", { config, draft: "" }, [model]).refused).toContain("gone");
  });

  it("keeps seeds as text: they are larger than JavaScript's numbers", () => {
    const seed = "18446744073709551615";
    expect(reuseSeed({ seed }, { config, draft: "" }).config).toEqual({ seed });
    expect(changesText(reuseSeed({ seed }, { config, draft: "" }))).toBe(`Seed random → ${seed}`);
  });
});
