import { act } from "preact/test-utils";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { WorkbenchError } from "../src/errors";
import { TopicsPanel } from "../src/widgets/topics_panel";
import "./all_parts";
import { closeAll, openPage, type Page, mount, pass, prepare, sent } from "./harness";

beforeEach(prepare);
afterEach(closeAll);

const wait = (ms = 300): Promise<void> => act(() => pass(ms) as Promise<void>);

interface View extends Page { all(testid: string): HTMLElement[]; click(testid: string, at?: number): Promise<void>; openTrash(): Promise<void>; words(): string[] }

async function show(simple = false): Promise<View> {
  const page = await openPage();
  const el = await mount(<TopicsPanel store={page.store} simple={simple} />);
  await wait();
  const all = (testid: string): HTMLElement[] => [...el.querySelectorAll<HTMLElement>(`[data-testid="${testid}"]`)];
  const click = async (testid: string, at = 0): Promise<void> => {
    await act(() => (all(testid)[at] ?? expect.fail(`no ${testid}`)).click());
    await wait();
  };
  return {
    ...page, all, click,
    openTrash: async () => {
      await click("topics-more");
      await click("open-trash");
    },
    words: () => all("trash-item").map((row) => row.querySelector(".wbx-trash-words")!.textContent),
  };
}

/** An image, a batch and a topic go; returns their ids. */
async function deleteSome({ store, kernel }: View): Promise<[string, string, string]> {
  const [batch, other] = kernel.order.get([...kernel.topics.keys()][0]!)!;
  const image = kernel.rowsOf(batch!)[0]!.id;
  const topic = [...kernel.topics.keys()][1]!;
  for (const [entity, id] of [["generation", image], ["batch", other!], ["topic", topic]] as const) {
    void store.call("delete", { entity, id });
    await wait(100);
  }
  return [image, other!, topic];
}

test("the trash says what went, from where and when, and gives one thing after the other back", async () => {
  vi.setSystemTime(new Date(2026, 10, 22, 14, 5));
  const view = await show();
  const [image, batch, topic] = await deleteSome(view);
  const { title } = view.kernel.trash.get(topic)!.topic!;
  await view.openTrash();
  expect(view.all("trash-item").map((row) => row.dataset["id"])).toEqual([topic, batch, image]);
  const [first, second, third] = view.words();
  expect(first).toMatch(new RegExp(`^${title}Topic · [0-9]+ imagesDeleted 21 Nov, 14:07 · kept until 21 Dec$`));
  expect(second).toContain("Batch · 4 images from “");
  expect(third).toMatch(/Image from “.+”Deleted 21 Nov, 14:05/);
  expect(view.all("trash-dialog")[0]!.textContent).toContain("Kept for 30 days, then deleted for good.");
  expect(sent(view, "thumbs").at(-1)!.args["trash"]).toBe(true);
  expect(view.all("trash-restore").map((one) => one.getAttribute("aria-label"))[0]).toBe(`Restore “${title}”`);

  const before = view.all("topic").length;
  view.all("trash-restore")[2]!.focus();
  await view.click("trash-restore", 2);
  expect(sent(view, "restore").at(-1)!.args).toEqual({ entity: "generation", id: image });
  expect(view.all("trash-restored")[0]!.closest("[role=status]")).not.toBeNull();
  expect(document.activeElement).toBe(view.all("trash-restore")[1]); // the last one that is left
  await view.click("trash-restore");
  expect(view.all("trash-restored")[0]!.textContent).toBe(`“${title}” is back.`);
  expect(view.all("topic")).toHaveLength(before + 1);
  await view.click("trash-restore");
  expect(view.all("trash-item")).toEqual([]);
  expect(view.all("trash-none")).toHaveLength(1);
  expect(document.activeElement?.getAttribute("aria-label")).toBe("Close");
});

test("a long trash comes in pages, and ends where it ends", async () => {
  const view = await show();
  const topics = [...view.kernel.topics.keys()];
  for (const id of topics.slice(1)) void view.store.call("delete", { entity: "topic", id });
  const batches = view.kernel.order.get(topics[0]!)!.slice(1, 8);
  for (const id of batches) void view.store.call("delete", { entity: "batch", id });
  await wait(500);
  const all = view.kernel.trash.size;
  expect(all).toBeGreaterThan(8);
  await view.openTrash();
  expect(view.all("trash-item")).toHaveLength(8);
  expect(view.all("trash-older")[0]!.textContent).toBe(`${all - 8} more, older`);
  while (view.all("trash-older").length > 0) await view.click("trash-older");
  expect(new Set(view.all("trash-item").map((row) => row.dataset["id"])).size).toBe(all);
});

test("what goes wrong is said, and can be tried again", async () => {
  const view = await show();
  const [image] = await deleteSome(view);
  const real = view.store.call.bind(view.store);
  let broken: WorkbenchError | null = new WorkbenchError("busy", "The disk is busy.");
  vi.spyOn(view.store, "call").mockImplementation((op, args, options) =>
    broken && (op === "trash" || op === "restore") ? Promise.reject(broken) : real(op, args as object, options) as never);
  await view.openTrash();
  expect(view.all("field-error")[0]!.textContent).toBe("The disk is busy.");
  expect(view.all("trash-none")).toEqual([]);
  broken = null;
  await view.click("trash-again");
  expect(view.all("trash-item")).toHaveLength(3);
  expect(view.all("field-error")).toEqual([]);
  // Not done: it stays where it is.
  broken = new WorkbenchError("busy", "The disk is busy.");
  await view.click("trash-restore", 2);
  expect(view.all("trash-item")).toHaveLength(3);
  expect(view.all("field-error")[0]!.textContent).toBe("The disk is busy.");
  // Emptied in another window: there is nothing to restore any more.
  broken = new WorkbenchError("not_found", "There is no such image any more.");
  await view.click("trash-restore", 2);
  expect(view.all("trash-item").map((row) => row.dataset["id"])).not.toContain(image);
  expect(view.all("field-error")[0]!.textContent).toBe("There is no such image any more.");
  expect(view.all("trash-restored")).toEqual([]);
});

test("people of a simple page reach the trash, too, and not the projects", async () => {
  const view = await show(true);
  await view.click("topics-more");
  expect(document.querySelector(".wbx-drop")!.textContent).not.toContain("project");
  await view.click("open-trash");
  expect(view.all("trash-none")[0]!.textContent).toContain("The trash is empty");
});

test("the question before a deletion says how long this workspace keeps it", async () => {
  const view = await show();
  view.store.hello.value!.workspace.trash_days = 7;
  const row = view.all("topic")[0]!.querySelector("button")!;
  await act(() => void row.dispatchEvent(new KeyboardEvent("keydown", { key: "Delete", bubbles: true, cancelable: true })));
  await wait();
  expect(view.all("confirm")[0]!.textContent).toMatch(/images go to the trash for 7 days\./);
});
