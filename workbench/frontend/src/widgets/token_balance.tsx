/** What is left of the tokens: a chip that rolls to the new number and lights up when it changes. */

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

import type { WidgetProps } from "../model";
import type { BalanceRow } from "../protocol";
import type { Store } from "../store";
import { amount, t } from "../texts";
import { liveOf } from "../ui/live";
import { tip } from "../ui/tooltip";
import { SpendDialog } from "./late_dialogs";

const LIT_MS = 1400;

export function TokenBalance({ store }: WidgetProps<Store>) {
  return (
    <div class="wbx-balance-widget">
      {store.hello.value === null ? <span class="wbx-skel" style={{ width: "112px", height: "28px" }} /> : <TokenChip store={store} always />}
    </div>
  );
}

const NOTHING_YET: BalanceRow = { unit: "token", amount_micro: 0, change_micro: 0, reason: "", transaction_id: null };

/** The unit that the chosen model is paid in comes first; then tokens, then any; 0 before the first booking. */
function shownBalance(store: Store): BalanceRow | undefined {
  const balances = store.balances.value;
  const unit = store.desk.model.value?.unit;
  const found = (unit === undefined ? undefined : balances.get(unit)) ?? balances.get("token") ?? [...balances.values()][0];
  return found ?? (store.hello.value?.balances === undefined ? undefined : NOTHING_YET);
}

/** What a provider bills is booked without anything to take it from: below 0 it is what was spent. */
export function leftOrSpent({ amount_micro, unit }: BalanceRow): string {
  if (amount_micro >= 0 || unit === "token") return amount(amount_micro, unit);
  return t("amount.spent", { amount: amount(-amount_micro, unit) });
}

/** Whether there is anything to count: a booking, or a price that tokens would have to pay. */
function counts(store: Store): boolean {
  const model = store.desk.model.value;
  return store.balances.value.size > 0 || (model !== undefined && model.price_micro > 0 && !model.by_provider);
}

/** `always`: also before anything was booked and while all is free, when "0 tokens" only worries. */
export function TokenChip({ store, always = false }: { store: Store; always?: boolean }) {
  const row = shownBalance(store);
  const change = useChange(store, row);
  const open = useSignal(false);
  if (row === undefined) return null;
  const text = leftOrSpent(row);
  // "1,250" and "tokens" apart: where room is short only the figure stays.
  const [figure = "", unit = ""] = text.split(/ (.*)/);
  const others = [...store.balances.value.values()].filter((other) => other.unit !== row.unit);
  const all = [row, ...others].map(leftOrSpent).join(" · ");
  return (
    <>
      <button
        type="button"
        class="wbx-chip"
        hidden={!always && !counts(store)}
        data-testid="balance"
        data-micro={row.amount_micro}
        data-change={change === 0 ? undefined : change > 0 ? "up" : "down"}
        aria-haspopup="dialog"
        aria-label={t("balance.label", { amount: all })}
        onClick={() => (open.value = true)}
        {...tip(t("balance.label", { amount: all }))}
      >
        <span class="wbx-coin" aria-hidden="true" />
        <Rolling text={figure} direction={change} />
        {/* A space, so that what is read is what is seen. */}
        {unit ? " " : null}
        {unit ? <span class="wbx-chip-unit" aria-hidden="true">{unit}</span> : null}
      </button>
      {open.value ? <SpendDialog store={store} onClose={() => (open.value = false)} /> : null}
    </>
  );
}

/** By how much it changed last, for as long as that is lit; 0 otherwise. */
function useChange(store: Store, row: BalanceRow | undefined): number {
  const last = useRef<{ unit: string; micro: number } | null>(null);
  const change = useSignal(0);
  const micro = row?.amount_micro ?? 0;
  const unit = row?.unit ?? "";
  useEffect(() => {
    const before = last.current;
    last.current = row === undefined ? null : { unit, micro };
    if (before === null || before.unit !== unit || before.micro === micro) return undefined;
    const by = micro - before.micro;
    change.value = by;
    liveOf(store).say(
      t(by > 0 ? "balance.up" : "balance.down", { amount: amount(Math.abs(by), unit), balance: row === undefined ? "" : leftOrSpent(row) }),
    );
    const timer = setTimeout(() => (change.value = 0), LIT_MS);
    return () => clearTimeout(timer);
  }, [unit, micro]);
  return change.value;
}

/** Digits roll up or down in their place; only transforms move. */
function Rolling({ text, direction }: { text: string; direction: number }) {
  // Places are counted from the end, so that 999 → 1,000 keeps its last digits where they are.
  const letters = [...text];
  return (
    <span class="wbx-rolling" aria-hidden="true">
      {letters.map((letter, at) => {
        const place = letters.length - at;
        if (!/\d/.test(letter)) return <span key={`${place}${letter}`}>{letter}</span>;
        return (
          <span key={place} class="wbx-digit">
            <span key={letter} data-roll={direction > 0 ? "up" : direction < 0 ? "down" : undefined}>{letter}</span>
          </span>
        );
      })}
    </span>
  );
}
