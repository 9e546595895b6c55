import { act } from "preact/test-utils";
import { afterEach, beforeEach, expect, test } from "vitest";

import { id as idOf } from "../dev/stub_data";
import { TopicsPanel } from "../src/widgets/topics_panel";
import "./all_parts";
import { closeAll, openPage, mount, pass, prepare, sent } from "./harness";

beforeEach(prepare);
afterEach(closeAll);

const wait = (ms = 300): Promise<void> => act(() => pass(ms) as Promise<void>);

async function show(listed: number) {
  const page = await openPage({ listed });
  const el = await mount(<TopicsPanel store={page.store} simple={false} />);
  await wait();
  const all = (testid: string): HTMLElement[] => [...el.querySelectorAll<HTMLElement>(`[data-testid="${testid}"]`)];
  return { ...page, all, said: () => all("older-topics")[0]?.querySelector("p")?.textContent };
}

test("a list that does not have all topics says so, and gives the others", async () => {
  const view = await show(2);
  const total = view.kernel.topics.size;
  expect(total).toBeGreaterThan(4);
  expect(view.said()).toBe(`Showing the latest 2 of ${total} topics.`);
  view.all("show-older-topics")[0]!.focus();
  let rounds = 0;
  while (view.all("show-older-topics").length > 0 && (rounds += 1) < 20) {
    await act(() => view.all("show-older-topics")[0]!.click());
    await wait();
  }
  expect(view.all("topic")).toHaveLength(total);
  expect(new Set(view.all("topic").map((row) => row.dataset["id"])).size).toBe(total);
  expect(document.activeElement?.classList.contains("wbx-topic-open")).toBe(true);
  await wait(2000);
  expect(sent(view, "topics").filter(({ args }) => args["limit"] === 1)).toEqual([]);
});

test("how many there are stays true when topics come and go, also those that are not listed", async () => {
  const view = await show(3);
  const total = view.kernel.topics.size;
  await act(() => void view.store.call("topic.create", { title: "New" }));
  for (const ms of [100, 1000, 0]) await wait(ms); // drawn, asked, drawn
  expect(view.said()).toBe(`Showing the latest 4 of ${total + 1} topics.`);
  const oldest = [...view.kernel.topics.values()].sort((a, b) => a.updated_at - b.updated_at)[0]!;
  expect(view.all("topic").map((row) => row.dataset["id"])).not.toContain(oldest.id);
  await act(() => void view.store.call("delete", { entity: "topic", id: oldest.id }));
  for (const ms of [100, 1000, 0]) await wait(ms); // drawn, asked, drawn
  expect(view.said()).toBe(`Showing the latest 4 of ${total} topics.`);
});

test("a topic that Python opens beyond the list is listed and shown", async () => {
  const view = await show(1);
  const oldest = [...view.kernel.topics.values()].sort((a, b) => a.updated_at - b.updated_at)[0]!;
  expect(oldest.id).not.toBe(idOf("T", 1));
  await act(() => {
    view.kernel.desk.topic_id = oldest.id;
    view.kernel.pushDesk(null, null);
  });
  await wait(1500);
  expect(view.store.feed.topicId.value).toBe(oldest.id);
  expect(view.all("topic").find((row) => row.dataset["active"] !== undefined)!.textContent).toContain(oldest.title);
});

test("whoever sees all topics reads nothing of others", async () => {
  const view = await show(1000);
  expect(view.all("older-topics")).toEqual([]);
});
