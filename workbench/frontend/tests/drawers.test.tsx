import { act } from "preact/test-utils";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { Root } from "../src/ui/root";
import { LIMITS } from "../src/widgets/panels";
import { Workbench } from "../src/widgets/workbench";
import "./all_parts";
import { closeAll, openPage, type Page, mount, pass, prepare, traitsWith } from "./harness";

const el = document.createElement("div");

beforeEach(prepare);
afterEach(closeAll);

const get = (testid: string): HTMLElement =>
  el.querySelector<HTMLElement>(`[data-testid="${testid}"]`) ?? expect.fail(`no ${testid}`);

async function key(element: HTMLElement, name: string): Promise<KeyboardEvent> {
  const event = new KeyboardEvent("keydown", { key: name, bubbles: true, cancelable: true });
  await act(() => void element.dispatchEvent(event));
  await act(() => pass(300) as Promise<void>);
  return event;
}

async function open(): Promise<Page> {
  const page = await openPage();
  const traits = traitsWith();
  await mount(<Root store={page.store} traits={traits}><Workbench store={page.store} traits={traits} /></Root>, el);
  return page;
}

test("Escape in a dialog over a drawer is the dialog's, and the next one the drawer's", async () => {
  await open();
  await act(() => get("open-topics").click()); // without a width it is narrow
  await key(get("topic").querySelector("button")!, "Delete");
  // The browser closes the dialog, unless somebody keeps the key from it.
  expect((await key(get("confirm"), "Escape")).defaultPrevented).toBe(false);
  expect(el.querySelector(".wbx-drawer[data-out]")).not.toBeNull();
  expect((await key(get("topic"), "Escape")).defaultPrevented).toBe(true);
  expect(el.querySelector(".wbx-drawer[data-out]")).toBeNull();
});

test("a drawer keeps the focus from a host that takes it unasked, until the next press or key", async () => {
  await open();
  const cell = document.body.appendChild(document.createElement("button"));
  await act(() => get("open-topics").click());
  const drawer = el.querySelector(".wbx-drawer[data-out]");
  expect(document.activeElement).toBe(drawer);
  cell.focus();
  expect(document.activeElement).toBe(drawer);
  cell.dispatchEvent(new PointerEvent("pointerdown", { bubbles: true }));
  cell.focus();
  expect(document.activeElement).toBe(cell);
  cell.remove();
});

describe("beside the feed", () => {
  beforeEach(() => {
    vi.spyOn(HTMLElement.prototype, "getBoundingClientRect").mockReturnValue(new DOMRect(0, 0, 1700, 900));
  });
  const panel = (side: string): HTMLElement =>
    el.querySelector<HTMLElement>(`.wbx-panel[data-side="${side}"]`) ?? expect.fail(`no panel ${side}`);
  const line = (side: "start" | "end"): HTMLElement =>
    el.querySelector<HTMLElement>(`[role="separator"][data-side="${side}"]`) ?? expect.fail(`no line at the ${side}`);
  const width = (side: string): number => parseInt(panel(side).style.width);

  test("the line of a panel moves by key and by pointer, within what it says, and double-click puts it back", async () => {
    const { store } = await open();
    const { least, usual } = LIMITS.config;
    expect(width("config")).toBe(usual);
    const step = async (name: string): Promise<number> => (await key(line("start"), name), width("config"));
    expect([await step("ArrowRight"), await step("ArrowLeft"), await step("Home"), await step("ArrowLeft")]).toEqual([usual + 16, usual, least, least]);
    const most = Number(line("start").getAttribute("aria-valuemax"));
    expect([await step("End"), await step("ArrowRight")]).toEqual([most, most]);
    expect(line("start").getAttribute("aria-valuenow")).toBe(String(most));
    // The topics lie on the other side of their line.
    const topics = width("topics");
    await key(line("end"), "ArrowLeft");
    expect(width("topics")).toBe(topics + 16);

    const point = (type: string, clientX: number) =>
      act(() => void line("start").dispatchEvent(new PointerEvent(type, { clientX, button: 0, pointerId: 1, bubbles: true })));
    vi.spyOn(HTMLElement.prototype, "setPointerCapture").mockReturnValue();
    await point("pointerdown", most);
    await point("pointermove", most - 30);
    await point("pointerup", most - 30);
    await point("pointermove", most - 90);
    expect(width("config")).toBe(most - 30);
    await act(() => void line("start").dispatchEvent(new MouseEvent("dblclick", { bubbles: true })));
    expect([width("config"), store.desk.panels.value.config_width]).toEqual([usual, usual]);
  });

  test("a panel folds to a rail and unfolds as wide as before; both is kept by the kernel", async () => {
    const page = await open();
    await key(line("end"), "End");
    const wide = width("topics");
    await key(line("end"), "Enter");
    expect(el.querySelectorAll('.wbx-panel[data-side="topics"], [role="separator"][data-side="end"]')).toHaveLength(0);
    await act(() => pass(1000) as Promise<void>);
    expect(page.kernel.desk.panels).toEqual({ topics_width: wide, topics_open: false });
    await act(() => get("expand-topics").click());
    expect(width("topics")).toBe(wide);
  });
});
