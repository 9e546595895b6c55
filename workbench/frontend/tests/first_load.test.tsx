import { act } from "preact/test-utils";
import { afterEach, beforeEach, expect, test } from "vitest";

import { Root } from "../src/ui/root";
import { TokenBalance } from "../src/widgets/token_balance";
import { Workbench } from "../src/widgets/workbench";
import "./all_parts";
import { closeAll, mount, openPage, pass, prepare, traitsWith } from "./harness";

beforeEach(prepare);
afterEach(closeAll);

const wait = (ms: number): Promise<void> => act(() => pass(ms) as Promise<void>);

test("until the kernel has answered, bones stand where settings, images and topics will be", async () => {
  const { kernel, store } = await openPage({ state: "loading" });
  const traits = traitsWith({ height: 720 });
  const el = await mount(<Root store={store} traits={traits}><Workbench store={store} traits={traits} /></Root>);
  const bones = (): number => el.querySelectorAll('.wbx-skeleton[role="status"] .wbx-grid > .wbx-bone').length;
  const busy = (): number => el.querySelectorAll('[data-testid="config"][aria-busy="true"], .wbx-topics-scroll[aria-busy="true"]').length;
  const nothing = (): Element | null => el.querySelector('[data-testid="empty"], [data-testid="error"]');
  expect([bones(), busy(), nothing()]).toEqual([8, 2, null]);
  expect(el.querySelector('[data-testid="live"]')!.getAttribute("data-state")).toBe("connecting");

  Object.assign(kernel, { state: "normal" });
  await wait(20_000);
  expect([bones(), busy(), nothing()]).toEqual([0, 0, null]);
  expect(el.querySelectorAll('[data-testid="generation"]').length).toBeGreaterThan(0);
});

test("the chip lights up and rolls up as well as down, and says which", async () => {
  const { store } = await openPage();
  const traits = traitsWith({ _widget: "TokenBalance" });
  const el = await mount(<Root store={store} traits={traits}><TokenBalance store={store} traits={traits} /></Root>);
  const chip = el.querySelector<HTMLElement>('[data-testid="balance"]')!;
  const row = store.balances.value.get("token")!;
  for (const [amount, way] of [[1_260, "up"], [1_251, "down"]] as const) {
    await act(() => void (store.balances.value = new Map([["token", { ...row, amount_micro: amount * 1_000_000 }]])));
    await wait(150);
    expect([chip.dataset["change"], chip.dataset["micro"]]).toEqual([way, `${amount}000000`]);
    expect(new Set([...chip.querySelectorAll<HTMLElement>("[data-roll]")].map((one) => one.dataset["roll"]))).toEqual(new Set([way]));
    await wait(3000);
    expect(chip.dataset["change"]).toBeUndefined();
  }
  expect(el.querySelector('[data-testid="live-region"]')!.textContent).toBe("Balance down by 9 tokens, now 1,251 tokens");
});
