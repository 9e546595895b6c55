/** What was spent, by day or by what; what is left, and what may be spent at most. */

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";

import { isAborted, reasonOf } from "../errors";
import type { CapRow, SpendAnswer, SpendBy, SpendRow } from "../protocol";
import type { Store } from "../store";
import { amount, LANGUAGE } from "../texts";
import { t, type TextKey } from "../texts_dialogs";
import { Dialog } from "../ui/dialog";
import { Problem } from "../ui/problem";
import { leftOrSpent } from "./token_balance";

const PERIODS: readonly [days: number, text: TextKey][] = [[1, "spend.today"], [30, "spend.month"]];
const BY: readonly [by: SpendBy, text: TextKey][] = [
  ["day", "spend.by_day"], ["provider", "spend.by_provider"], ["model", "spend.by_model"], ["topic", "spend.by_topic"],
];

export function SpendDialog({ store, onClose }: { store: Store; onClose(): void }) {
  const days = useSignal(30);
  const by = useSignal<SpendBy>("day");
  const answer = useSignal<SpendAnswer | null>(null);
  const problem = useSignal("");
  const balances = [...store.balances.value.values()];
  // Not the amounts: a booking whose amount is not known changes none.
  const booked = balances.map((row) => row.transaction_id ?? row.amount_micro).join();
  useEffect(() => {
    const stop = new AbortController();
    store.call<SpendAnswer>("spend", { by: by.value, days: days.value }, { signal: stop.signal }).then(
      (told) => {
        answer.value = told;
        problem.value = "";
      },
      (error: unknown) => {
        if (!isAborted(error)) problem.value = reasonOf(error);
      },
    );
    return () => stop.abort();
  }, [by.value, days.value, booked]);
  const python = `ws.spend("${by.value}"${days.value === 1 ? ", days=1" : ", days=30"})`;
  return (
    <Dialog title={t("spend.title")} testid="spend-dialog" onClose={onClose}>
      <div class="wbx-spend">
        <ul class="wbx-spend-now">
          {balances.map((row) => <li key={row.unit}>{t(row.amount_micro > 0 || (row.amount_micro === 0 && row.unit === "token") ? "spend.left" : "spend.in_all", { amount: leftOrSpent(row) })}</li>)}
          {balances.length === 0 ? <li>{t("spend.no_balance")}</li> : null}
        </ul>
        {answer.value?.caps.map((cap) => <CapLine key={`${cap.scope} ${cap.title} ${cap.unit} ${cap.per}`} cap={cap} />)}
        <div class="wbx-spend-choices">
          <Choice label={t("spend.period")} options={PERIODS} value={days.value} onChange={(value) => (days.value = value)} />
          <Choice label={t("spend.by")} options={BY} value={by.value} onChange={(value) => (by.value = value)} />
        </div>
        <Problem id="wbx-spend-problem" text={problem.value} />
        <Spent answer={answer.value} by={by.value} store={store} />
        {store.offer.simple.value ? null : <p class="wbx-spend-python">{t("spend.python")} <code>{python}</code></p>}
      </div>
    </Dialog>
  );
}

interface ChoiceProps<T> { label: string; options: readonly (readonly [T, TextKey])[]; value: T; onChange(value: T): void }

function Choice<T extends string | number>({ label, options, value, onChange }: ChoiceProps<T>) {
  return (
    <div class="wbx-choice" role="group" aria-label={label}>
      {options.map(([one, text]) => (
        <button key={one} type="button" aria-pressed={one === value} data-testid={`spend-${one}`} onClick={() => onChange(one)}>{t(text)}</button>
      ))}
    </div>
  );
}

function Spent({ answer, by, store }: { answer: SpendAnswer | null; by: SpendBy; store: Store }) {
  if (answer === null) return <span class="wbx-skel" style={{ height: "96px" }} />;
  const rows = answer.rows.filter((row) => row.spent_micro !== 0 || row.images > 0);
  if (rows.length === 0) return <p class="wbx-spend-none" data-testid="spend-none">{t("spend.none")}</p>;
  const most = new Map<string, number>();
  for (const { unit, spent_micro } of rows) most.set(unit, Math.max(most.get(unit) ?? 0, spent_micro));
  return (
    <>
      <div class="wbx-spend-scroll" tabIndex={0} role="region" aria-label={t("spend.title")}>
        <table class="wbx-spend-table">
          <thead>
            <tr><th scope="col">{t(`spend.by_${by}`)}</th><th scope="col">{t("spend.images")}</th><th scope="col">{t("spend.spent")}</th></tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <tr key={`${row.what} ${row.unit}`} data-testid="spend-row">
                <th scope="row" dir="auto">
                  {nameOf(row, by, store)}
                  {row.not_known > 0 ? <span class="wbx-spend-billed">{t("spend.billed", { count: row.not_known })}</span> : null}
                  <span class="wbx-bar" aria-hidden="true"><span style={{ width: `${partOf(row.spent_micro, most.get(row.unit) ?? 0)}%` }} /></span>
                </th>
                <td>{row.images}</td>
                <td>{row.spent_micro !== 0 ? amount(row.spent_micro, row.unit) : t(row.not_known > 0 ? "spend.not_known" : "amount.free")}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {answer.more > 0 ? <p>{t("spend.more", { count: answer.more })}</p> : null}
    </>
  );
}

function CapLine({ cap }: { cap: CapRow }) {
  const part = partOf(cap.spent_micro, cap.limit_micro);
  const whose = t(cap.scope === "topic" ? "spend.cap_topic" : cap.scope === "everybody" ? "spend.cap_everybody" : "spend.cap_user", { title: cap.title || t("topics.untitled") });
  const values = { spent: amount(cap.spent_micro, cap.unit), limit: amount(cap.limit_micro, cap.unit) };
  return (
    <div class="wbx-spend-cap" data-testid="spend-cap" data-full={part >= 100 ? "" : undefined}>
      <p><span dir="auto">{whose}</span><span>{t(cap.per === "day" ? "spend.cap_day" : "spend.cap_total", values)}</span></p>
      <span class="wbx-bar" aria-hidden="true"><span style={{ width: `${part}%` }} /></span>
    </div>
  );
}

const partOf = (spent: number, most: number): number => (most > 0 ? Math.max(0, Math.min(100, (100 * spent) / most)) : spent > 0 ? 100 : 0);

/** "Sat 21 Nov"; names as the settings have them. */
function nameOf({ what }: SpendRow, by: SpendBy, store: Store): string {
  if (what === "(deleted)") return t("spend.deleted");
  if (by === "day") {
    const day = new Date(`${what}T00:00:00Z`);
    return Number.isNaN(day.getTime()) ? what : day.toLocaleDateString(`${LANGUAGE}-GB`, { weekday: "short", day: "numeric", month: "short", timeZone: "UTC" });
  }
  if (by === "provider") return store.providers.value.find((one) => one.name === what)?.title ?? what;
  if (by === "model") return store.models.value.find((one) => one.id === what)?.title ?? what;
  return what || t("topics.untitled");
}
