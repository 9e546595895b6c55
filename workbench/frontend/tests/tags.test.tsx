import { act } from "preact/test-utils";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { WorkbenchError } from "../src/errors";
import { OpenLightbox } from "../src/feed/lightbox_dialog";
import { Tags, tagsIn } from "../src/feed/tags";
import type { GenerationRow } from "../src/protocol";
import { closeAll, openPage, type Page, mount, pass, prepare, sent } from "./harness";

beforeEach(prepare);
afterEach(closeAll);

interface View extends Page { id: string; el: HTMLElement; field: HTMLInputElement; names(): string[]; judged(): unknown[]; wait(ms?: number): Promise<void> }

/** A picture of the feed without tags, or with these, and whatever shows it. */
async function show(tags: string[] = [], what?: (page: Page, row: GenerationRow) => preact.VNode): Promise<View> {
  const page = await openPage();
  const row = [...page.kernel.generations.values()].find(
    (one) => one.status === "completed" && page.store.generation(one.id).peek() !== undefined,
  )!;
  page.kernel.put("generation", Object.assign(row, { tags }));
  await pass(500);
  const Shown = () => <Tags store={page.store} row={page.store.generation(row.id).value!} onRow={() => undefined} />;
  const el = await mount(what?.(page, row) ?? <Shown />);
  const wait = (ms = 100): Promise<void> => act(() => pass(ms) as Promise<void>);
  await wait();
  return {
    ...page, el, wait, id: row.id,
    field: el.querySelector<HTMLInputElement>("[data-testid=tag-input]")!,
    names: () => [...el.querySelectorAll("[data-testid=tag] > span")].map((one) => one.textContent),
    judged: () => sent(page, "judge").map((one) => one.args),
  };
}

async function press(element: Element, key: string): Promise<KeyboardEvent> {
  const event = new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true });
  await act(() => void element.dispatchEvent(event));
  return event;
}

async function type(field: HTMLInputElement, text: string): Promise<void> {
  await act(() => {
    field.value = text;
    field.dispatchEvent(new Event("input", { bubbles: true }));
  });
}

const remover = (view: View, tag: string): HTMLElement =>
  view.el.querySelector<HTMLElement>(`[data-testid=tag-remove][data-tag="${tag}"]`) ?? expect.fail(`no ${tag}`);

it("reads names as people write them", () => {
  expect(tagsIn(" keep , fig 3,, keep,")).toEqual(["keep", "fig 3"]);
  expect(tagsIn(" , ")).toEqual([]);
});

describe("tags of a picture", () => {
  it("are added by Enter, by a comma and by what is pasted; the kernel has them", async () => {
    const view = await show();
    await type(view.field, "keep");
    expect((await press(view.field, "Enter")).defaultPrevented).toBe(true);
    await view.wait();
    await type(view.field, "fig 3");
    await press(view.field, ",");
    await view.wait();
    await type(view.field, "night, sea");
    await view.wait();
    expect(view.judged()).toEqual([
      { generation_id: view.id, tags: ["keep"] },
      { generation_id: view.id, tags: ["keep", "fig 3"] },
      { generation_id: view.id, tags: ["keep", "fig 3", "night", "sea"] },
    ]);
    expect(view.names()).toEqual(["keep", "fig 3", "night", "sea"]);
    expect([view.field.value, view.kernel.generation(view.id)?.tags.length]).toEqual(["", 4]);
  });

  it("one after the other in a hurry: none takes the one before it back", async () => {
    const view = await show();
    for (const name of ["one", "two", "three"]) {
      await type(view.field, name);
      await press(view.field, "Enter");
    }
    expect([...view.el.querySelectorAll<HTMLElement>("[data-testid=tag]")].every((chip) => chip.dataset["coming"] === "")).toBe(true);
    await view.wait(300);
    expect(view.kernel.generation(view.id)?.tags).toEqual(["one", "two", "three"]);
    expect(view.el.querySelectorAll("[data-coming]")).toHaveLength(0);
  });

  it("that are there already are not sent again; leaving the field keeps what was typed", async () => {
    const view = await show(["keep"]);
    await type(view.field, "keep");
    await press(view.field, "Enter");
    await view.wait();
    expect([view.judged(), view.field.value]).toEqual([[], ""]);
    view.field.focus();
    await type(view.field, "half");
    await act(() => view.field.blur());
    await view.wait();
    expect(view.names()).toEqual(["keep", "half"]);
  });

  it("are removed by × and by key, and the focus goes on to the next", async () => {
    const view = await show(["a", "b", "c"]);
    expect(remover(view, "b").getAttribute("aria-label")).toBe("Remove the tag b");
    await act(() => remover(view, "b").click());
    await view.wait();
    expect([view.names(), document.activeElement]).toEqual([["a", "c"], remover(view, "c")]);
    expect((await press(remover(view, "c"), "Delete")).cancelBubble).toBe(true);
    await view.wait();
    expect([view.names(), document.activeElement]).toEqual([["a"], remover(view, "a")]);
    await press(remover(view, "a"), "Backspace");
    await view.wait();
    expect([view.names(), document.activeElement]).toEqual([[], view.field]);
  });

  it("Backspace in an empty field goes to the last one, and takes nothing away by itself", async () => {
    const view = await show(["a", "b"]);
    view.field.focus();
    await press(view.field, "Backspace");
    expect(document.activeElement).toBe(remover(view, "b"));
    await press(remover(view, "b"), "ArrowLeft");
    expect(document.activeElement).toBe(remover(view, "a"));
    expect(view.judged()).toEqual([]);
  });

  it("what the kernel refuses comes back into the field with its reason", async () => {
    const view = await show(["keep"]);
    const refusal = new WorkbenchError("invalid_request", "may have up to 64 characters each.", "tags");
    vi.spyOn(view.store, "call").mockRejectedValueOnce(refusal);
    const long = "x".repeat(65);
    await type(view.field, long);
    await press(view.field, "Enter");
    await view.wait();
    const problem = view.el.querySelector("[data-testid=tags-problem]")!;
    expect([problem.textContent, problem.getAttribute("role")]).toEqual(["Tags may have up to 64 characters each.", "alert"]);
    expect([view.field.value, view.field.getAttribute("aria-describedby")]).toEqual([long, problem.id]);
    expect(view.names()).toEqual(["keep"]);
    await type(view.field, "short");
    expect(view.el.querySelector("[data-testid=tags-problem]")).toBeNull();
  });

  it("of another window are seen at once", async () => {
    const view = await show(["keep"]);
    await act(() => view.kernel.put("generation", Object.assign(view.kernel.generation(view.id)!, { tags: ["keep", "theirs"] })));
    await view.wait(500);
    expect(view.names()).toEqual(["keep", "theirs"]);
  });

  it("are text, whatever they look like", async () => {
    const hostile = '<img src=x onerror="alert(1)">';
    const view = await show([hostile]);
    expect(view.names()).toEqual([hostile]);
    expect(view.el.querySelector("img")).toBeNull();
  });
});

describe("in the lightbox", () => {
  const open = () =>
    show(["keep"], (page, row) => {
      page.store.lightbox.value = row.id;
      return <OpenLightbox store={page.store} first={row.id} canReuse />;
    });

  it("T leads to the field, where keys are letters; Escape leaves the field only", async () => {
    const view = await open();
    const box = view.el.querySelector(".wbx-box")!;
    await press(box, "t");
    expect(document.activeElement).toBe(view.field);
    for (const key of ["f", "5", "d", "Delete", "ArrowRight"]) {
      expect((await press(view.field, key)).defaultPrevented).toBe(false);
    }
    await type(view.field, "half");
    expect((await press(view.field, "Escape")).defaultPrevented).toBe(true);
    await view.wait();
    expect([view.judged(), sent(view, "delete"), view.field.value]).toEqual([[], [], ""]);
    expect([document.activeElement, view.store.lightbox.value]).toEqual([box, view.id]);
    await press(box, "f");
    expect(view.judged()).toHaveLength(1);
  });
});
