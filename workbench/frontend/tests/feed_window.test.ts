import { describe, expect, it, vi } from "vitest";

import { blockHeight, columnsFor, factLines, promptLines, sheetFor, thumbSize } from "../src/feed/layout";
import {
  anchorOf,
  arrivedAbove,
  Extents,
  pieces,
  rangeOf,
  scrollFor,
  witnesses,
} from "../src/feed/window";

const keys = (count: number, prefix = "b"): string[] =>
  Array.from({ length: count }, (_, place) => `${prefix}${place}`);

function extents(list: string[], height: (key: string) => number = () => 100): Extents {
  const result = new Extents(height);
  result.setKeys(list);
  return result;
}

const view = (top: number, height = 500, direction = 1) => ({ top, height, direction });

describe("where blocks lie", () => {
  it("adds up different heights and finds the block at a height", () => {
    const heights: Record<string, number> = { a: 50, b: 120, c: 30 };
    const it = extents(["a", "b", "c"], (key) => heights[key] ?? 0);
    expect(it.total).toBe(200);
    expect([0, 49, 50, 169, 170, 199].map((y) => it.placeAt(y))).toEqual([0, 0, 1, 1, 2, 2]);
    expect([-10, 5000].map((y) => it.placeAt(y))).toEqual([0, 2]);
    expect(extents([]).placeAt(3)).toBe(-1);
  });

  it("keeps measured heights over new lists and forgets those of blocks that went", () => {
    const it = extents(keys(3));
    expect(it.measure([["b1", 150]])).toBe(true);
    expect(it.measure([["b1", 150.02]])).toBe(false);
    it.setKeys(["n", ...keys(3)]);
    expect(it.total).toBe(450);
    it.setKeys(["b0"]);
    it.setKeys(keys(3));
    expect(it.total).toBe(300);
  });

  it("takes no height of 0 from a page that is folded away", () => {
    const it = extents(keys(3));
    expect(it.measure(keys(3).map((key) => [key, 0] as const))).toBe(false);
    expect(it.total).toBe(300);
  });

  it("finds a place among 25,000 blocks in few looks", () => {
    const many = keys(25_000);
    let guessed = 0;
    const it = extents(many, (key) => {
      guessed++;
      return 200 + (key.length % 7) * 10;
    });
    it.measure([["b0", 431]]);
    const looks = vi.spyOn(it as never as { at(place: number): number }, "at");
    for (let y = 0; y < 1000; y++) it.placeAt(y * 5000);
    expect(guessed).toBeLessThanOrEqual(2 * many.length); // with each list and each measuring
    expect(looks.mock.calls.length).toBeGreaterThan(1000);
    expect(looks.mock.calls.length).toBeLessThan(1000 * 20); // and few of them for each place
    expect(it.count).toBe(25_000);
  });
});

describe("what is in the page", () => {
  it("reaches further in the direction of reading", () => {
    const it = extents(keys(1000));
    expect(rangeOf(it, view(50_000, 500, 1))).toEqual({ first: 497, last: 513 });
    expect(rangeOf(it, view(50_000, 500, -1))).toEqual({ first: 492, last: 508 });
  });

  it("is small however long the list is", () => {
    const it = extents(keys(25_000), () => 270);
    const { first, last } = rangeOf(it, view(3_000_000, 720, 1));
    expect(last - first).toBeLessThan(12);
  });

  it("stands for every block exactly once, pinned ones included", () => {
    const it = extents(keys(100));
    const result = pieces(it, { first: 40, last: 43 }, [3, 41, 99, 500]);
    expect(result).toEqual([
      { gap: 300, after: -1 },
      { block: 3 },
      { gap: 3600, after: 3 },
      { block: 40 },
      { block: 41 },
      { block: 42 },
      { gap: 5600, after: 42 },
      { block: 99 },
    ]);
    const height = result.reduce((sum, piece) => sum + ("gap" in piece ? piece.gap : 100), 0);
    expect(height).toBe(it.total);
  });
});

describe("nothing moves that did not change", () => {
  it("holds the block under the pointer, else the first one that begins in view", () => {
    const it = extents(keys(20));
    expect(anchorOf(it, view(250))).toEqual({ key: "b3", offset: 50 });
    expect(anchorOf(it, view(250), "b6")).toEqual({ key: "b6", offset: 350 });
    expect(anchorOf(it, view(250), "b19")).toEqual({ key: "b3", offset: 50 });
    expect(anchorOf(extents(keys(2), () => 5000), view(2000))).toEqual({ key: "b0", offset: -2000 });
  });

  it("scrolls by exactly what arrived above", () => {
    const it = extents(keys(20));
    const at = view(450);
    const seen = witnesses(it, anchorOf(it, at), at);
    it.setKeys(["n1", "n2", ...keys(20)]);
    expect(scrollFor(it, seen)).toBe(650);
  });

  it("scrolls by exactly what a block above was measured larger", () => {
    const it = extents(keys(20));
    const at = view(450);
    const seen = witnesses(it, anchorOf(it, at), at);
    it.measure([["b1", 140], ["b10", 300]]);
    expect(scrollFor(it, seen)).toBe(490);
  });

  it("holds on to the next one when the anchor is deleted", () => {
    const it = extents(keys(20));
    const at = view(450);
    const seen = witnesses(it, anchorOf(it, at), at);
    expect(seen[0]?.key).toBe("b5");
    it.setKeys(keys(20).filter((key) => key !== "b5" && key !== "b2"));
    expect(scrollFor(it, seen)).toBe(250); // b6 stays 150 below the view's top
  });

  it("does not follow a block that itself moved between the sections", () => {
    const it = extents(keys(20));
    const at = view(100);
    const seen = witnesses(it, anchorOf(it, at), at);
    it.setKeys(["b0", "b2", "b3", "b4", "b5", "b1", ...keys(20).slice(6)]);
    expect(scrollFor(it, seen, (key) => key === "b1")).toBe(0); // b2 stays where it was
  });

  it("knows nothing to hold on to when everything went", () => {
    const it = extents(keys(3));
    const at = view(0);
    const seen = witnesses(it, anchorOf(it, at), at);
    it.setKeys(keys(3, "other"));
    expect(scrollFor(it, seen)).toBeNull();
  });

  it("counts what is new above the reader", () => {
    const it = extents(["n1", "n2", ...keys(5), "n3"]);
    expect(arrivedAbove(it, "b3", new Set(keys(5)))).toBe(2);
  });
});

describe("heights from the data", () => {
  const batch = { prompt: "a red fox", width: 512, height: 512 };

  it("has 1, 2 and 4 columns by the width of the feed", () => {
    expect([320, 359, 360, 719, 720, 1400].map(columnsFor)).toEqual([1, 1, 2, 2, 4, 4]);
  });

  it("matches the mock-up: 172 px cards in a feed of 806 px", () => {
    expect(sheetFor(806).cardWidth).toBe(172);
    expect(sheetFor(418).cardWidth).toBe(158);
  });

  it("grows by rows, by the aspect and by a second line of the prompt", () => {
    const sheet = sheetFor(806);
    const one = blockHeight(sheet, batch, 4);
    expect(blockHeight(sheet, batch, 5)).toBe(one + 172 + 8);
    expect(blockHeight(sheet, { ...batch, width: 1024 }, 4)).toBe(one - 86);
    expect(blockHeight(sheet, { ...batch, prompt: "word ".repeat(60) }, 4)).toBe(one + 20);
  });

  it("tells the facts on one line where they fit, else on two", () => {
    expect([320, 418, 539, 600, 806].map((width) => factLines(sheetFor(width).textWidth))).toEqual([2, 2, 2, 1, 1]);
    const [narrow, wide] = [sheetFor(571), sheetFor(574)];
    const cards = (sheet: typeof wide): number => 2 * sheet.cardWidth;
    expect(blockHeight(narrow, batch, 4) - cards(narrow)).toBe(blockHeight(wide, batch, 4) - cards(wide) + 20);
  });

  it("clamps prompts to two lines", () => {
    expect(promptLines("x".repeat(9000), 700)).toBe(2);
    expect(promptLines("a\nb\nc", 700)).toBe(2);
    expect(promptLines("a\nb\nc", 700, true)).toBe(3);
  });

  it("asks for the large thumbnail only where the small one would blur", () => {
    expect(thumbSize(172, 1, 1)).toBe(256);
    expect(thumbSize(172, 1, 2)).toBe(768);
    expect(thumbSize(500, 1, 1)).toBe(768);
  });
});
