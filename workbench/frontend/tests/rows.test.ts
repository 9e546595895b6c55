import { effect } from "@preact/signals";
import { expect, test } from "vitest";

import * as data from "../dev/stub_data";
import type { GenerationRow } from "../src/protocol";
import { merged, Rows } from "../src/rows";

const batch = data.batchRow(data.id("T", 1), 7, 1_000_000, 0);
const pending = data.pendingRow(batch, 0);
const running = (changes: Partial<GenerationRow>): GenerationRow => ({ ...pending, status: "processing", attempt: 1, ...changes });

function filled(): Rows {
  const rows = new Rows();
  rows.putBatch(batch);
  return rows;
}

test("the same row twice is the same object: nothing is drawn again", () => {
  const rows = filled();
  rows.putGeneration(running({ progress: 0.5, rev: 3 }));
  let runs = 0;
  const stop = effect(() => void (rows.generation(pending.id).value && runs++));
  rows.putGeneration(running({ progress: 0.5, rev: 3, tags: [] }));
  expect(runs).toBe(1);
  rows.putGeneration(running({ progress: 0.6, rev: 4 }));
  expect(runs).toBe(2);
  stop();
});

test("progress never goes back within an attempt, whatever comes late", () => {
  const known = running({ progress: 0.6, step: 12, preview: 3, rev: 5 });
  expect(merged(known, running({ progress: 0.4, step: 8, rev: 4 }))).toBe(known); // older
  const next = merged(known, running({ progress: 0.4, step: 8, preview: 2, rev: 6 }));
  expect(next).toMatchObject({ progress: 0.6, step: 12, preview: 3, rev: 6 });
});

test("a new attempt begins at 0, and an older one is not heard any more", () => {
  const known = running({ progress: 0.6, rev: 5 });
  const next = merged(known, running({ progress: 0, attempt: 2, rev: 6 }));
  expect(next).toMatchObject({ progress: 0, attempt: 2 });
  expect(merged(next, running({ progress: 0.9, attempt: 1, rev: 7 }))).toBe(next);
});

test("what has ended stays as it ended, but is judged", () => {
  const done = { ...running({ progress: 1, rev: 8 }), status: "completed" as const };
  expect(merged(done, running({ progress: 0.2, rev: 9 })).status).toBe("completed");
  expect(merged(done, { ...done, status: "failed", rev: 10 }).status).toBe("completed");
  expect(merged(done, { ...done, rating: 4 })).toMatchObject({ rating: 4, status: "completed" });
});

test("of each index the latest generation counts; without it the one before", () => {
  const rows = filled();
  rows.putGeneration({ ...pending, status: "failed" });
  rows.putGeneration({ ...data.pendingRow(batch, 1) });
  const again = { ...pending, id: data.id("G", 99), seq: 9999, retry_of: pending.id };
  rows.putGeneration(again);
  expect(rows.latest(batch.id).value).toEqual([again.id, data.pendingRow(batch, 1).id]);
  rows.dropGeneration(again.id, 2);
  expect(rows.latest(batch.id).value[0]).toBe(pending.id);
});

test("a late answer does not bring back what was deleted; restoring does", () => {
  const rows = filled();
  rows.putGeneration({ ...pending, rev: 3 });
  rows.dropGeneration(pending.id, 5);
  rows.putGeneration({ ...pending, rev: 4 });
  expect(rows.generationRow(pending.id)).toBeUndefined();
  rows.putGeneration({ ...pending, rev: 6 });
  expect(rows.generationRow(pending.id)?.rev).toBe(6);
});

test("generations of batches that nobody lists are not kept, but updated where they are watched", () => {
  const rows = filled();
  rows.putGeneration(pending);
  rows.free(batch.id);
  expect(rows.size).toEqual({ batches: 0, generations: 0 });
  rows.putGeneration({ ...pending, rev: 2 });
  expect(rows.size.generations).toBe(0);
  let seen: number | undefined;
  const stop = effect(() => void (seen = rows.generation(pending.id).value?.rating));
  rows.putGeneration({ ...pending, rev: 3, rating: 5 });
  expect(seen).toBe(5);
  stop();
  expect(rows.size.generations).toBe(0);
});

test("who still shows a batch that left the window keeps it", () => {
  const rows = filled();
  rows.putGeneration(pending);
  let row: GenerationRow | undefined;
  const stop = effect(() => void (row = rows.generation(pending.id).value));
  rows.free(batch.id);
  expect(row?.id).toBe(pending.id);
  rows.putBatch(batch);
  rows.putGeneration({ ...pending, rev: 4, rating: 2 });
  expect(row?.rating).toBe(2);
  stop();
});
