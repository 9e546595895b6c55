import type { Signal } from "@preact/signals";
import { act } from "preact/test-utils";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import type { SpendAnswer } from "../src/protocol";
import { Root } from "../src/ui/root";
import { TokenBalance } from "../src/widgets/token_balance";
import "./all_parts";
import { closeAll, openPage, mount, pass, prepare, traitsWith } from "./harness";

beforeEach(prepare);
afterEach(closeAll);

const ANSWER: SpendAnswer = {
  rows: [
    { what: "2026-11-21", unit: "USD", spent_micro: 120_000, images: 3, not_known: 0 },
    { what: "2026-11-20", unit: "token", spent_micro: 8_000_000, images: 4, not_known: 0 },
    { what: "2026-11-19", unit: "token", spent_micro: 0, images: 0, not_known: 0 }, // reserved and let go
  ],
  more: 0,
  caps: [
    { scope: "user", title: "", unit: "USD", per: "day", limit_micro: 5_000_000, spent_micro: 120_000 },
    { scope: "topic", title: "Foxes", unit: "token", per: "total", limit_micro: 8_000_000, spent_micro: 8_000_000 },
  ],
  balances: [],
};

async function show() {
  const page = await openPage();
  const traits = traitsWith({ _widget: "TokenBalance" });
  const asked: object[] = [];
  let answer: () => Promise<unknown> = () => Promise.resolve(ANSWER);
  vi.spyOn(page.store, "call").mockImplementation((op, args) => {
    if (op === "spend") asked.push(args!);
    return answer() as never;
  });
  const el = await mount(<Root store={page.store} traits={traits}><TokenBalance store={page.store} traits={traits} /></Root>);
  const all = (id: string): HTMLElement[] => [...el.querySelectorAll<HTMLElement>(`[data-testid="${id}"]`)];
  const click = async (id: string): Promise<void> => {
    await act(() => all(id)[0]!.click());
    await act(() => pass(50) as Promise<void>);
  };
  return { ...page, el, asked, all, click, answer: (next: () => Promise<unknown>) => (answer = next) };
}

test("the chip opens what was spent, with limits and balances", async () => {
  const view = await show();
  await view.click("balance");
  expect(view.asked).toEqual([{ by: "day", days: 30 }]);
  const rows = view.all("spend-row").map((row) => [...row.children].map((cell) => cell.textContent));
  expect(rows).toEqual([["Sat 21 Nov", "3", "$0.12"], ["Fri 20 Nov", "4", "8 tokens"]]);
  expect(view.all("spend-cap").map((cap) => cap.textContent)).toEqual(["Your limit$0.12 of $5.00 today", "Topic “Foxes”8 tokens of 8 tokens in all"]);
  expect(view.all("spend-cap").map((cap) => cap.dataset["full"])).toEqual([undefined, ""]);
  expect(view.all("spend-dialog")[0]!.textContent).toContain("1,250 tokens left");
  expect(view.all("spend-dialog")[0]!.textContent).toContain('ws.spend("day", days=30)');
  await view.click("spend-1");
  await view.click("spend-provider");
  expect(view.asked.slice(1)).toEqual([{ by: "day", days: 1 }, { by: "provider", days: 1 }]);
});

test("who sees no notebook is told no Python", async () => {
  const view = await show();
  const simple = view.store.offer.simple as Signal<boolean>;
  await view.click("balance");
  await act(() => void (simple.value = true));
  try {
    expect(view.all("spend-dialog")[0]!.textContent).not.toContain("ws.spend");
  } finally {
    simple.value = false;
  }
});

test("what a provider billed is spent, not a debt", async () => {
  const view = await show();
  const row = { unit: "USD", amount_micro: -120_000, change_micro: 0, reason: "", transaction_id: null };
  await act(() => void (view.store.balances.value = new Map([["USD", row]])));
  expect(view.all("balance")[0]!.getAttribute("aria-label")).toBe("Balance: $0.12 spent");
  await view.click("balance");
  expect(view.all("spend-dialog")[0]!.textContent).toContain("$0.12 spent in all");
});

test("what a provider billed without saying how much is neither free nor nothing", async () => {
  const view = await show();
  const rows = [
    { what: "2026-11-21", unit: "USD", spent_micro: 0, images: 2, not_known: 2 },
    { what: "2026-11-20", unit: "USD", spent_micro: 40_000, images: 2, not_known: 1 },
    { what: "2026-11-19", unit: "token", spent_micro: 0, images: 1, not_known: 0 },
  ];
  view.answer(() => Promise.resolve({ ...ANSWER, rows }));
  await view.click("balance");
  expect(view.all("spend-none")).toHaveLength(0);
  const told = view.all("spend-row").map((row) => [...row.children].map((cell) => cell.textContent));
  expect(told).toEqual([
    ["Sat 21 Nov2 images billed by the provider, amount not known", "2", "not known"],
    ["Fri 20 Nov1 image billed by the provider, amount not known", "2", "$0.04"],
    ["Thu 19 Nov", "1", "free"],
  ]);
  // Its booking changes no balance; what is shown is asked for anew all the same.
  const booked = { unit: "USD", amount_micro: 0, change_micro: 0, reason: "billed by the provider, amount not known", transaction_id: "1" };
  for (const transaction_id of ["1", "2"]) {
    await act(() => void (view.store.balances.value = new Map([["USD", { ...booked, transaction_id }]])));
    await act(() => pass(50) as Promise<void>);
  }
  expect(view.asked).toHaveLength(3);
});

test("nothing spent, and what could not be read, are said", async () => {
  const view = await show();
  view.answer(() => Promise.resolve({ ...ANSWER, rows: [], caps: [] }));
  await view.click("balance");
  expect(view.all("spend-none")).toHaveLength(1);
  view.answer(() => Promise.reject(new Error("The database is busy.")));
  await view.click("spend-topic");
  expect(view.all("field-error")[0]!.textContent).toBe("The database is busy.");
});
