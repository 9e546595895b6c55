import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { expect, test } from "vitest";

import { TEXTS } from "../src/texts";
import { DIALOGS_TEXTS } from "../src/texts_dialogs";
import { FEED_TEXTS } from "../src/texts_feed";
import { SETTINGS_TEXTS } from "../src/texts_settings";
import { TOPICS_TEXTS } from "../src/texts_topics";

// That a key which is used has its words is tsc's business: t takes only keys that there are.
const PARTS = { DIALOGS_TEXTS, FEED_TEXTS, SETTINGS_TEXTS, TOPICS_TEXTS };

/** What the sources ask for: keys as they stand, and those that are put together (`live.${state}`). */
function asked(): (key: string) => boolean {
  const src = join(import.meta.dirname, "..", "src");
  const [plain, composed] = [new Set<string>(), new Set<string>()];
  for (const file of readdirSync(src, { recursive: true, encoding: "utf8" })) {
    if (!/\.tsx?$/.test(file)) continue;
    // A definition is no use: `"live.live": "Live"`.
    const code = readFileSync(join(src, file), "utf8").replace(/^ {2}("[\w.]+"|\w+):(?= ["`])/gm, "");
    for (const [, key] of code.matchAll(/"([\w.]+)"/g)) plain.add(key!);
    for (const [, key] of code.matchAll(/`((?:\$\{[^{}`]*\}|[\w.])+)`/g)) composed.add(key!);
  }
  const shapes = [...composed]
    .filter((key) => /\$\{[^}]*\}\.\w|\w\.(\w+_)?\$\{/.test(key))
    .map((key) => new RegExp(`^${key.replaceAll(".", "\\.").replace(/\$\{[^}]*\}/g, "[\\w.]+")}$`));
  return (key) => plain.has(key) || shapes.some((shape) => shape.test(key));
}

test("words that nobody asks for are not carried along", () => {
  const isAsked = asked();
  const keys = Object.values({ TEXTS, ...PARTS }).flatMap((words) => Object.keys(words));
  expect(keys.length).toBeGreaterThan(300);
  expect(keys.filter((key) => !isAsked(key))).toEqual([]);
});

test("a part has no other words for a key of the root", () => {
  for (const [part, words] of Object.entries(PARTS)) {
    expect(Object.keys(words).filter((key) => key in TEXTS), part).toEqual([]);
  }
});
