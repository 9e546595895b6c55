import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { closeAll, openPage, pass } from "./harness";

beforeEach(() => void vi.useFakeTimers());
afterEach(closeAll);

test("of several changes that got lost the last one counts, and no other setting is lost", async () => {
  const page = await openPage();
  const { desk } = page.store;
  page.kernel.drop = () => true;
  desk.setDraft("half");
  desk.select(["one"]);
  desk.setParam("steps", 30);
  desk.set({ n: 2 });
  await pass(1000); // sent by now
  desk.setDraft("half a sentence");
  desk.select(["one", "two"]);
  desk.setParam("style", "sketch");
  await pass(25_000); // both are given up
  expect(desk.draft.value).toBe("half a sentence");
  page.kernel.drop = () => false;
  await pass(20_000);
  expect(page.store.link.value).toBe("live");
  for (const now of [page.kernel.desk, { draft: desk.draft.value, selection: desk.selection.value, config: desk.config.value }]) {
    expect(now).toMatchObject({
      draft: "half a sentence",
      selection: ["one", "two"],
      config: { n: 2, params: { steps: 30, style: "sketch" } },
    });
  }
});
