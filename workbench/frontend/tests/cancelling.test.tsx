import type { ComponentChildren } from "preact";
import { act } from "preact/test-utils";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { WorkbenchError } from "../src/errors";
import { OpenLightbox } from "../src/feed/lightbox_dialog";
import type { GenerationRow, TopicRow } from "../src/protocol";
import { isOpen } from "../src/rows";
import { TopicsPanel } from "../src/widgets/topics_panel";
import "./all_parts";
import { closeAll, joinPage, openPage, type Page, mount, pass, prepare, sent, settled } from "./harness";

beforeEach(prepare);
afterEach(closeAll);

const wait = (ms = 100): Promise<void> => act(() => pass(ms) as Promise<void>);

async function shown(what: ComponentChildren): Promise<(testid: string) => HTMLElement | null> {
  const el = await mount(what);
  await wait();
  return (testid) => el.querySelector<HTMLElement>(`[data-testid="${testid}"]`);
}

async function click(element: Element | null): Promise<void> {
  await act(() => (element as HTMLElement).click());
}

// -- cancelling all that runs -----------------------------------------------------------------------

interface Busy extends Page { topics: [string, string, string]; running(topic: string): GenerationRow[]; menu(label: string): Promise<void>; get(testid: string): HTMLElement | null }

/** A page that has opened none of these topics: three images run in one, two in another, none in the last. */
async function busy(): Promise<Busy> {
  const before = await openPage({ state: "empty", jobMs: 600_000 });
  const topics: string[] = [];
  for (const [title, n] of [["Harbour", 3], ["Market", 2], ["Nothing", 0]] as const) {
    const { topic } = await settled(before.store.call<{ topic: TopicRow }>("topic.create", { title }));
    if (n > 0) await settled(before.store.call("submit", { client_key: crypto.randomUUID(), prompt: title, n, topic_id: topic.id }));
    topics.push(topic.id);
  }
  const page = await joinPage(before.kernel, "TopicsSidebar");
  const get = await shown(<TopicsPanel store={page.store} simple={false} />);
  return {
    ...page, get, topics: topics as Busy["topics"],
    running: (id) => [...page.kernel.generations.values()].filter((row) => row.topic_id === id && isOpen(row)),
    menu: (label) => click(document.querySelector(`[aria-label="${label}"]`)),
  };
}

test("a topic's menu says how much runs there, asks, and cancels that and nothing else", async () => {
  const page = await busy();
  const [harbour, market] = page.topics;
  await page.menu("Actions for Harbour");
  // Not known yet: it is there, in its place, and cannot be pressed.
  const early = page.get("cancel-topic")!;
  expect([early.textContent, early.getAttribute("aria-disabled")]).toEqual(["Cancel what is running (…)", "true"]);
  await click(early);
  expect(page.get("confirm")).toBeNull();
  await wait();
  expect([early.textContent, early.getAttribute("aria-disabled")]).toEqual(["Cancel what is running (3)", null]);
  await click(early);
  const question = page.get("confirm")!.textContent;
  for (const words of ["running in “Harbour”", "3 images", "cannot be undone", "may still be charged"]) expect(question).toContain(words);
  expect([...page.get("confirm")!.querySelectorAll("footer button")].map((one) => one.textContent)).toEqual(["Let them go on", "Cancel 3 images"]);
  expect(sent(page, "cancel")).toEqual([]);
  await click(page.get("confirm-action"));
  await wait(300);
  expect(sent(page, "cancel").map((one) => one.args)).toEqual([{ topic_id: harbour }]);
  expect([page.running(harbour).length, page.running(market).length]).toEqual([0, 2]);
  expect(page.store.toasts.value.map((toast) => toast.text)).toEqual(["3 images cancelled"]);
  await page.menu("Actions for Harbour");
  await wait();
  expect(page.get("cancel-topic")!.textContent).toBe("Cancel what is running (0)");
  await click(page.get("cancel-topic"));
  expect(page.get("confirm")).toBeNull();
});

test("the menu of the topics cancels everything; what had ended by then is not counted", async () => {
  const page = await busy();
  await page.menu("More");
  await wait();
  expect(page.get("cancel-everything")!.textContent).toBe("Cancel everything that is running (5)");
  await click(page.get("cancel-everything"));
  expect(page.get("confirm")!.textContent).toContain("in all topics?");
  const first = page.running(page.topics[0])[0]!;
  page.kernel.put("generation", Object.assign(first, { status: "completed" }));
  await click(page.get("confirm-action"));
  await wait(300);
  expect(sent(page, "cancel").map((one) => one.args)).toEqual([{ everything: true }]);
  expect(page.topics.flatMap((id) => page.running(id))).toEqual([]);
  expect([first.status, page.store.toasts.value.map((toast) => toast.text)]).toEqual(["completed", ["4 images cancelled"]]);
});

test("where the kernel cannot say what runs, the entry says why and does nothing", async () => {
  const page = await busy();
  vi.spyOn(page.store, "call").mockRejectedValueOnce(new WorkbenchError("no_answer", "The kernel has not answered."));
  await page.menu("Actions for Market");
  await wait();
  const entry = page.get("cancel-topic")!;
  expect([entry.querySelector("small")!.textContent, entry.getAttribute("aria-disabled")]).toEqual(["The kernel has not answered.", "true"]);
});

// -- from a picture to its topic ---------------------------------------------------------------------

async function lightbox(widget: string, open: (row: GenerationRow, topics: string[]) => string): Promise<Page & { row: GenerationRow; get(testid: string): HTMLElement | null }> {
  const page = await openPage({}, widget);
  const row = [...page.kernel.generations.values()].find((one) => one.status === "completed")!;
  page.store.desk.openTopic(open(row, [...page.kernel.topics.keys()]));
  page.store.lightbox.value = row.id;
  const get = await shown(<OpenLightbox store={page.store} first={row.id} canReuse={widget !== "Lightbox"} />);
  await wait(500);
  return { ...page, row, get };
}

test("a lightbox of its own leads to the topic of its picture, and says where that is open", async () => {
  const page = await lightbox("Lightbox", (row) => row.topic_id);
  await click(page.get("open-topic"));
  await wait(300);
  expect(page.store.desk.topicId.value).toBe(page.row.topic_id);
  expect(page.store.lightbox.value).toBeNull();
  expect(page.store.toasts.value.map((toast) => toast.text)).toEqual(["Its topic is open now, in the other widgets of this notebook"]);
});

test("over a feed only a picture of another topic leads there", async () => {
  const same = await lightbox("Workbench", (row) => row.topic_id);
  expect(same.get("open-topic")).toBeNull();
  const other = await lightbox("Workbench", (row, topics) => topics.find((id) => id !== row.topic_id)!);
  await click(other.get("open-topic"));
  await wait(300);
  expect(other.store.desk.topicId.value).toBe(other.row.topic_id);
  expect([other.store.lightbox.value, other.store.toasts.value]).toEqual([null, []]);
});
