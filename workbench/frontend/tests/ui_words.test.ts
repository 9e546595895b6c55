import { expect, test } from "vitest";

import { amount, fill } from "../src/texts";
import { roughly } from "../src/texts_settings";
import { briefly, t } from "../src/texts_topics";
import { parseNumber, parseSeed, shownNumber, stepped, type Limits } from "../src/ui/numbers";
import { luminance } from "../src/ui/theme";
import { layoutFor, RAIL } from "../src/widgets/panels";
import { lettersOf } from "../src/widgets/prompt_form";
import { ratioOf, RATIOS, sizeFor, valueOf } from "../src/widgets/sizes";

test("texts choose the plural and fill in names, also inside a form", () => {
  expect(t("header.images", { count: 1 })).toBe("1 image");
  expect(t("header.images", { count: 1250 })).toBe("1,250 images");
  expect(t("topics.delete_text", { count: 1, days: 30 })).toBe("1 image goes to the trash for 30 days.");
  expect(t("topics.delete_none", { days: 1 })).toBe("It has no images. It stays in the trash for 1 day.");
  expect(fill("{count|{text} token|{text} tokens}", { count: 2, text: "2" })).toBe("2 tokens");
});

test("what people type is text: braces in a title are not filled in again", () => {
  expect(t("topics.delete_title", { title: "{count} <b>" })).toBe("Delete “{count} <b>”?");
});

test("amounts have their unit, dollars their cents", () => {
  expect(amount(8_000_000, "token")).toBe("8 tokens");
  expect(amount(1_000_000, "token")).toBe("1 token");
  expect(amount(1_250_000_000, "token")).toBe("1,250 tokens");
  expect(amount(40_000, "USD")).toBe("$0.04");
  expect(amount(3_000, "USD")).toBe("$0.003");
  expect(amount(12_500_000, "USD")).toBe("$12.50");
});

test("times in lists are short", () => {
  const now = new Date(2026, 10, 21, 12, 0).getTime();
  const minute = 60_000;
  expect(briefly(now - 5000, now)).toBe("now");
  expect(briefly(now - 4 * minute, now)).toBe("4 min");
  expect(briefly(now - 120 * minute, now)).toBe("2 h");
  expect(briefly(now - 24 * 60 * minute, now)).toBe("yesterday");
  expect(briefly(now - 4 * 24 * 60 * minute, now)).toBe("Tue");
  expect(briefly(now - 9 * 24 * 60 * minute, now)).toBe("12 Nov");
  expect(roughly(6.4)).toBe("6 s");
  expect(roughly(200)).toBe("3 min");
  expect(roughly(4800)).toBe("1 h 20 min");
});

const SIDE: Limits = { kind: "integer", minimum: 64, maximum: 2048, step: 8 };

test("a number that the model does not take is told, with what it takes", () => {
  expect(parseNumber("512", SIDE)).toEqual({ value: 512 });
  expect(parseNumber("", SIDE)).toEqual({ problem: "Enter a number." });
  expect(parseNumber("12.5", SIDE)).toEqual({ problem: "Enter a whole number." });
  expect(parseNumber("9", SIDE)).toEqual({ problem: "The smallest is 64." });
  expect(parseNumber("99999", SIDE)).toEqual({ problem: "The largest is 2048." });
  expect(parseNumber("500", SIDE)).toEqual({ problem: "Must be a multiple of 8: 496 or 504." });
  expect(parseNumber("0,5", { kind: "number", minimum: 0, maximum: 1, step: 0.05 })).toEqual({ value: 0.5 });
});

test("arrow keys go from step to step and never over the limits", () => {
  expect(stepped(512, 1, SIDE)).toBe(520);
  expect(stepped(500, 1, SIDE)).toBe(504);
  expect(stepped(500, -1, SIDE)).toBe(496);
  expect(stepped(2048, 10, SIDE)).toBe(2048);
  const fraction: Limits = { kind: "number", minimum: 0, maximum: 1, step: 0.05 };
  expect(stepped(0.65, 1, fraction)).toBe(0.7);
  expect(shownNumber(0.7, fraction)).toBe("0.70");
});

test("seeds are whole numbers beyond what JavaScript counts exactly", () => {
  expect(parseSeed(" 9007199254740993 ")).toEqual({ value: "9007199254740993" });
  expect(parseSeed("")).toEqual({ value: null });
  expect(parseSeed("007")).toEqual({ value: "7" });
  expect("problem" in parseSeed("-1")).toBe(true);
  expect("problem" in parseSeed("9223372036854775808")).toBe(true);
});

test("each ratio has a size on the model's steps, with about its own number of pixels", () => {
  const side = { minimum: 64, maximum: 2048, step: 8, default: 512 };
  expect(sizeFor("1:1", side, side)).toEqual({ width: 512, height: 512 });
  for (const ratio of RATIOS) {
    const size = sizeFor(ratio, side, side)!;
    expect(Math.abs(size.width / size.height / valueOf(ratio) - 1)).toBeLessThan(0.02);
    expect(size.width % 8 + size.height % 8).toBe(0);
    expect(size.width * size.height / (512 * 512)).toBeCloseTo(1, 0);
    expect(ratioOf(size)).toBe(ratio);
  }
  expect(ratioOf({ width: 512, height: 700 })).toBeUndefined();
  const fixed = { minimum: 512, maximum: 512, step: 8, default: 512 };
  expect(sizeFor("16:9", fixed, fixed)).toBeUndefined();
});

test("the feed has 60 % of the width from 900 px up, whatever was dragged", () => {
  const both = { config: true, topics: true };
  for (const total of [900, 1000, 1240, 1600, 2400]) {
    for (const panels of [{}, { config_width: 420, topics_width: 360 }]) {
      const { width } = layoutFor(total, panels, both);
      expect(total - width.config - width.topics).toBeGreaterThanOrEqual(0.6 * total - 1);
    }
  }
  expect(layoutFor(1240, {}, both).width).toEqual({ config: 260, topics: 200 });
  expect(layoutFor(1240, { topics_open: false }, both).width.topics).toBe(RAIL);
});

test("below 900 px the topics are a drawer, below 600 px the settings too", () => {
  const both = { config: true, topics: true };
  expect(layoutFor(899, {}, both).docked).toEqual({ config: true, topics: false });
  expect(layoutFor(599, {}, both).docked).toEqual({ config: false, topics: false });
  expect(layoutFor(599, {}, both).width).toEqual({ config: 0, topics: 0 });
  expect(layoutFor(1200, {}, { config: false, topics: true }).docked.config).toBe(false);
});

test("letters are counted as Python counts them", () => {
  expect(lettersOf("🦊".repeat(9_999))).toBe(9_999);
  expect(lettersOf("a".repeat(10_001))).toBe(10_001);
});

test("white is light and black is dark", () => {
  expect(luminance([255, 255, 255])).toBeCloseTo(1);
  expect(luminance([0, 0, 0])).toBe(0);
  expect(luminance([245, 197, 66])).toBeGreaterThan(0.5);
});
