import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { guardKeys } from "../src/keys";

const root = document.createElement("div");
const card = document.createElement("button");
const outside = document.createElement("button");
/** What Jupyter hears: before the page's own elements, and after them. */
const heard: { key: string; early: boolean; leftAlone: boolean }[] = [];
const hear = (early: boolean) => (event: KeyboardEvent): void => {
  heard.push({ key: event.key, early, leftAlone: (event.target as Element).hasAttribute("data-lm-suppress-shortcuts") });
};
const [early, late] = [hear(true), hear(false)];
let stop: () => void;

beforeEach(() => {
  vi.useFakeTimers();
  root.append(card);
  document.body.append(root, outside);
  document.addEventListener("keydown", early, true);
  document.addEventListener("keydown", late);
  stop = guardKeys(root);
});
afterEach(() => {
  stop();
  document.removeEventListener("keydown", early, true);
  document.removeEventListener("keydown", late);
  document.body.replaceChildren();
  heard.length = 0;
  vi.useRealTimers();
});

function press(element: Element, key: string, more: KeyboardEventInit = {}): void {
  element.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...more }));
}

test("JupyterLab, which listens after us, does not hear of a key of ours", () => {
  for (const key of ["b", "m", "d", "4", "ArrowDown", "Escape"]) press(card, key);
  expect(heard.filter((one) => !one.early)).toEqual([]);
});

test("Notebook 7, which listens before us, is told to leave it alone, and for that key only", () => {
  for (const key of ["b", "m", "d", "4"]) press(card, key);
  press(card, "Enter", { ctrlKey: true });
  press(card, "Control", { ctrlKey: true });
  expect(heard.filter((one) => one.early).map((one) => one.leftAlone)).toEqual(Array(6).fill(true));
  heard.length = 0;
  press(card, "s", { ctrlKey: true }); // comes before the timer of the key before it
  expect(heard).toEqual([{ key: "s", early: true, leftAlone: false }, { key: "s", early: false, leftAlone: false }]);
  press(card, "b");
  vi.runAllTimers();
  expect(card.hasAttribute("data-lm-suppress-shortcuts")).toBe(false);
});

test("keys elsewhere in the notebook, and after the widget has gone, are as they were", () => {
  press(outside, "b");
  stop();
  press(card, "b");
  expect(heard.map((one) => one.leftAlone)).toEqual([false, false, false, false]);
});
