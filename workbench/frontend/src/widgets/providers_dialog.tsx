/** Setting providers up: what is missing, a key (one way), address, jobs at once, a test. */

import { type Signal, useSignal } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";

import { isAborted, reasonOf, WorkbenchError } from "../errors";
import type { Op, ProviderSettings, ProvidersAnswer } from "../protocol";
import type { Store } from "../store";
import { t, type TextKey } from "../texts_dialogs";
import { Button } from "../ui/button";
import { Dialog } from "../ui/dialog";
import { Icon } from "../ui/icons";
import { Problem } from "../ui/problem";
import { useUnique } from "../ui/unique";

const MOST_AT_ONCE = 64;
/** A list of models may take its provider minutes. */
const PATIENCE_MS = 130_000;

/** `opened`: the name of the provider whose settings are shown at first; "": none. */
export function ProvidersDialog({ store, opened, onClose }: { store: Store; opened: string; onClose(): void }) {
  const rows = useSignal<ProviderSettings[] | null>(null);
  const problem = useSignal("");
  const group = useUnique();
  /** Those that can be used come first; none moves under the hand that has just set it up. */
  const order = useRef<Map<string, number> | null>(null);
  const take = (answer: ProvidersAnswer): void => {
    const ready = (one: ProviderSettings): number => (one.ready ? 0 : 1);
    order.current ??= new Map([...answer.providers].sort((a, b) => ready(a) - ready(b)).map((one, at) => [one.name, at]));
    const place = ({ name }: ProviderSettings): number => order.current?.get(name) ?? Infinity;
    rows.value = [...answer.providers].sort((a, b) => place(a) - place(b));
    store.takeProviders(answer);
  };
  useEffect(() => {
    const stop = new AbortController();
    store
      .call<ProvidersAnswer>("providers", {}, { signal: stop.signal })
      .then(take)
      .catch((error: unknown) => {
        if (!isAborted(error)) problem.value = sentence(error);
      });
    return () => stop.abort();
  }, []);
  return (
    <Dialog title={t("providers.title")} testid="providers-dialog" onClose={onClose}>
      <p class="wbx-providers-intro">{t("providers.intro")}</p>
      <Problem id="wbx-providers-problem" text={problem.value} />
      {rows.value === null ? (
        problem.value ? null : <span class="wbx-skel" style={{ height: "180px" }} />
      ) : (
        <ul class="wbx-providers">
          {rows.value.map((row) => (
            <Provider key={row.name} store={store} row={row} group={group} opened={row.name === opened} take={take} />
          ))}
        </ul>
      )}
    </Dialog>
  );
}

interface ProviderProps {
  store: Store;
  row: ProviderSettings;
  group: string;
  opened: boolean;
  take(answer: ProvidersAnswer): void;
}

/** What came of the last thing that was done with a provider. */
interface Outcome { text: string; well: boolean }

function Provider({ store, row, group, opened, take }: ProviderProps) {
  const details = useRef<HTMLDetailsElement>(null);
  // Once: from then on the browser keeps which of the group is open.
  useLayoutEffect(() => {
    if (!opened || details.current === null) return;
    details.current.open = true;
    details.current.scrollIntoView({ block: "nearest" });
  }, []);
  const busy = useSignal("");
  const outcome = useSignal<Outcome | null>(null);
  const ask = async <T,>(op: Op, args: object, said: (answer: T) => string): Promise<boolean> => {
    if (busy.value) return false;
    busy.value = op;
    outcome.value = null;
    try {
      const answer = await store.call<T>(op, { name: row.name, ...args }, { patienceMs: PATIENCE_MS });
      outcome.value = { text: said(answer), well: true };
      return true;
    } catch (error) {
      if (isAborted(error)) return false;
      outcome.value = { text: sentence(error), well: false };
      return false;
    } finally {
      busy.value = "";
    }
  };
  const set = (op: Op, args: object, key: TextKey): Promise<boolean> =>
    ask<ProvidersAnswer>(op, args, (answer) => {
      take(answer);
      return answer.message.includes(" ") ? answer.message : t(key);
    });
  const models = t("providers.models", { count: row.models });
  // What the kernel has said since: whether its server answers, which nobody set here.
  const now = store.providers.value.find((one) => one.name === row.name) ?? row;
  return (
    <li class="wbx-provider" data-testid="provider" data-name={row.name} data-ready={now.ready ? "" : undefined}>
      <details ref={details} name={group}>
        <summary>
          <span class="wbx-provider-dot" aria-hidden="true" />
          <span class="wbx-provider-title" dir="auto">{row.title}</span>
          <span class="wbx-provider-state">{now.ready ? t("providers.ready", { models }) : t(STATES[now.code] ?? "providers.error")}</span>
          <Icon name="chevron-right" size={14} />
        </summary>
        <div class="wbx-provider-body">
          {row.help ? <p dir="auto">{row.help}</p> : null}
          {row.takes_key ? <KeyField row={row} busy={busy} set={set} /> : null}
          {now.ready || now.message === outcome.value?.text ? null : (
            <p class="wbx-provider-missing" data-code={now.code} data-testid="provider-message" dir="auto">{now.message}</p>
          )}
          {row.base_url === null ? null : <PlaceFields row={row} busy={busy} set={set} />}
          <div class="wbx-provider-actions">
            {row.testable && row.code !== "key_missing" ? (
              <Button testid="provider-test" waits={busy.value !== ""} onClick={() => void ask<{ message: string }>("provider.test", {}, (answer) => answer.message)}>
                {t(busy.value === "provider.test" ? "providers.testing" : "providers.test")}
              </Button>
            ) : null}
            {row.refreshable && row.code !== "key_missing" ? (
              <Button look="quiet" icon="refresh" testid="provider-refresh" waits={busy.value !== ""} onClick={() => void set("provider.refresh", {}, "providers.saved")}>
                {t("providers.refresh")}
              </Button>
            ) : null}
          </div>
          {/* In the dialog: what is said outside of it is not heard while it is open. */}
          <div role="status">
            {outcome.value ? (
              <p class="wbx-provider-outcome" data-testid="provider-outcome" data-well={outcome.value.well ? "" : undefined}>
                <Icon name={outcome.value.well ? "check" : "alert"} size={14} />
                <span dir="auto">{outcome.value.text}</span>
              </p>
            ) : null}
          </div>
        </div>
      </details>
    </li>
  );
}

const STATES: Readonly<Record<string, TextKey>> = {
  key_missing: "providers.key_missing", package_missing: "providers.package_missing",
  unreachable: "providers.unreachable",
};

interface FieldsProps {
  row: ProviderSettings;
  busy: Signal<string>;
  set(op: Op, args: object, said: TextKey): Promise<boolean>;
}

/** A key goes one way: what is typed is sent, forgotten here, and never comes back. */
function KeyField({ row, busy, set }: FieldsProps) {
  const id = useUnique();
  const typed = useSignal("");
  const field = useRef<HTMLInputElement>(null);
  const save = async (): Promise<void> => {
    const key = typed.peek();
    if (key.trim() === "" || busy.peek() !== "") return;
    typed.value = "";
    await set("provider.key", { key }, "providers.key_kept");
  };
  const forget = async (): Promise<void> => {
    field.current?.focus(); // the button goes with the key
    await set("provider.forget", {}, "providers.key_gone");
  };
  const place = row.key_place;
  const where = place === null ? t("providers.key_none") : t(PLACES[place] ?? "providers.key_variable", { name: place });
  return (
    <div class="wbx-field">
      <div class="wbx-field-head">
        <label for={id}>{t("providers.key")}</label>
        <span class="wbx-provider-where" data-testid="provider-key-place">{where}</span>
      </div>
      <div class="wbx-input-row">
        <input
          ref={field}
          id={id}
          class="wbx-input"
          type="password"
          autocomplete="off"
          spellcheck={false}
          maxLength={4000}
          data-testid="provider-key"
          placeholder={t(place === null ? "providers.key_paste" : "providers.key_replace")}
          value={typed.value}
          onInput={(event) => (typed.value = event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key === "Enter") void save();
          }}
        />
        <Button look={typed.value.trim() === "" ? "plain" : "primary"} testid="provider-key-save" waits={busy.value !== "" || typed.value.trim() === ""} onClick={() => void save()}>
          {t("providers.key_save")}
        </Button>
        {place === "keyring" || place === "file" ? (
          <Button look="quiet" testid="provider-key-forget" waits={busy.value !== ""} onClick={() => void forget()}>
            {t("providers.key_forget")}
          </Button>
        ) : null}
      </div>
    </div>
  );
}

const PLACES: Readonly<Record<string, TextKey>> = {
  keyring: "providers.key_keyring", file: "providers.key_file", code: "providers.key_code",
};

function PlaceFields({ row, busy, set }: FieldsProps) {
  const address = useUnique();
  const jobs = useUnique();
  const url = useSignal(row.base_url ?? "");
  const count = useSignal(String(row.concurrency));
  useEffect(() => {
    url.value = row.base_url ?? "";
    count.value = String(row.concurrency);
  }, [row.base_url, row.concurrency]);
  const changed = url.value.trim() !== (row.base_url ?? "") || count.value.trim() !== String(row.concurrency);
  const wanted = Number(count.value);
  const good = Number.isInteger(wanted) && wanted >= 1 && wanted <= MOST_AT_ONCE;
  const save = (): void => {
    if (!changed || !good) return;
    const args = { base_url: url.value.trim() === row.base_url ? row.set_base_url : url.value.trim(), concurrency: wanted };
    void set("provider.set", args, "providers.saved");
  };
  const enter = (event: KeyboardEvent): void => {
    if (event.key === "Enter") save();
  };
  return (
    <div class="wbx-provider-place">
      <div class="wbx-field">
        <div class="wbx-field-head"><label for={address}>{t("providers.address")}</label></div>
        <input id={address} class="wbx-input wbx-code" type="url" spellcheck={false} autocomplete="off" maxLength={2000} data-testid="provider-address" value={url.value} placeholder={t("providers.address_usual")} onInput={(event) => (url.value = event.currentTarget.value)} onKeyDown={enter} />
      </div>
      <div class="wbx-field">
        <div class="wbx-field-head"><label for={jobs}>{t("providers.jobs")}</label></div>
        <input id={jobs} class="wbx-input wbx-number" inputMode="numeric" autocomplete="off" data-testid="provider-jobs" aria-invalid={good ? undefined : "true"} aria-describedby={good ? undefined : `${jobs}-problem`} value={count.value} onInput={(event) => (count.value = event.currentTarget.value)} onKeyDown={enter} />
      </div>
      <Button look={changed && good ? "primary" : "plain"} testid="provider-save" waits={busy.value !== "" || !changed || !good} onClick={save}>{t("providers.save")}</Button>
      <Problem id={`${jobs}-problem`} text={good ? "" : t("providers.wrong_jobs", { reason: t("providers.jobs_range", { most: MOST_AT_ONCE }) })} />
    </div>
  );
}

/** Settings by the name that Python gives them: its reasons go on from there. */
const WRONG: Readonly<Record<string, TextKey>> = {
  key: "providers.wrong_key", base_url: "providers.wrong_address", concurrency: "providers.wrong_jobs",
};

function sentence(error: unknown): string {
  const reason = reasonOf(error);
  const named = error instanceof WorkbenchError ? WRONG[error.field ?? ""] : undefined;
  return named === undefined ? reason : t(named, { reason });
}
