/** Setting providers up: what is missing, a key (one way), address, jobs at once, a test. */

import { type Signal, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";

import { isAborted } from "../errors";
import type { Op, ProviderSettings, ProvidersAnswer } from "../protocol";
import type { Store } from "../store";
import { t, type TextKey } from "../texts";
import { Button } from "../ui/button";
import { Dialog } from "../ui/dialog";
import { Problem } from "../ui/field";
import { Icon } from "../ui/icons";
import { liveOf } from "../ui/live";
import { useUnique } from "../ui/unique";

const MOST_AT_ONCE = 64;
/** A list of models may take its provider minutes. */
const PATIENCE_MS = 130_000;

/** The button that opens it; nothing where providers are the operator's. */
export function ProvidersButton({ store }: { store: Store }) {
  const open = useSignal(false);
  if (!store.hello.value?.may_set_providers) return null;
  const missing = store.providers.value.filter((one) => !one.ready).length;
  return (
    <>
      <Button look="quiet" class="wbx-providers-open" icon="sliders" testid="providers" onClick={() => (open.value = true)}>
        {missing > 0 ? t("providers.more", { count: missing }) : t("providers.title")}
      </Button>
      {open.value ? <ProvidersDialog store={store} onClose={() => (open.value = false)} /> : null}
    </>
  );
}

function ProvidersDialog({ store, onClose }: { store: Store; onClose(): void }) {
  const rows = useSignal<ProviderSettings[] | null>(null);
  const problem = useSignal("");
  const take = (answer: ProvidersAnswer): void => {
    rows.value = answer.providers;
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
          {rows.value.map((row) => <Provider key={row.name} store={store} row={row} take={take} />)}
        </ul>
      )}
    </Dialog>
  );
}

interface ProviderProps { store: Store; row: ProviderSettings; take(answer: ProvidersAnswer): void }

/** What came of the last thing that was done with a provider. */
interface Outcome { text: string; well: boolean }

function Provider({ store, row, take }: ProviderProps) {
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
      if (outcome.value) liveOf(store).say(outcome.value.text);
    }
  };
  const set = (op: Op, args: object, key: TextKey): Promise<boolean> =>
    ask<ProvidersAnswer>(op, args, (answer) => {
      take(answer);
      return answer.message.includes(" ") ? answer.message : t(key);
    });
  const models = t("providers.models", { count: row.models });
  return (
    <li class="wbx-provider" data-testid="provider" data-name={row.name} data-ready={row.ready ? "" : undefined}>
      <details>
        <summary>
          <span class="wbx-provider-dot" aria-hidden="true" />
          <span class="wbx-provider-title">{row.title}</span>
          <span class="wbx-provider-state">{row.ready ? t("providers.ready", { models }) : t(`providers.${row.code}` as TextKey)}</span>
        </summary>
        <div class="wbx-provider-body">
          <p>{row.help}</p>
          {row.ready ? null : <p class="wbx-provider-missing" data-testid="provider-message">{row.message}</p>}
          {row.takes_key ? <KeyField row={row} busy={busy} set={set} /> : null}
          {row.base_url === null ? null : <PlaceFields row={row} busy={busy} set={set} />}
          <div class="wbx-provider-actions">
            {row.testable ? (
              <Button testid="provider-test" disabled={busy.value !== ""} onClick={() => void ask<{ message: string }>("provider.test", {}, (answer) => answer.message)}>
                {t(busy.value === "provider.test" ? "providers.testing" : "providers.test")}
              </Button>
            ) : null}
            {row.refreshable && row.ready ? (
              <Button look="quiet" testid="provider-refresh" disabled={busy.value !== ""} onClick={() => void set("provider.refresh", {}, "providers.saved")}>
                {t("providers.refresh")}
              </Button>
            ) : null}
          </div>
          {outcome.value ? (
            <p class="wbx-provider-outcome" data-testid="provider-outcome" data-well={outcome.value.well ? "" : undefined}>
              <Icon name={outcome.value.well ? "check" : "alert"} size={14} />
              {outcome.value.text}
            </p>
          ) : null}
        </div>
      </details>
    </li>
  );
}

interface FieldsProps {
  row: ProviderSettings;
  busy: Signal<string>;
  set(op: Op, args: object, said: TextKey): Promise<boolean>;
}

/** A key goes one way: what is typed is sent, forgotten here, and never comes back. */
function KeyField({ row, busy, set }: FieldsProps) {
  const id = useUnique();
  const typed = useSignal("");
  const save = async (): Promise<void> => {
    const key = typed.value;
    if (key.trim() === "") return;
    typed.value = "";
    await set("provider.key", { key }, "providers.key_kept");
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
        <Button testid="provider-key-save" disabled={busy.value !== "" || typed.value.trim() === ""} onClick={() => void save()}>
          {t("providers.key_save")}
        </Button>
        {place === "keyring" || place === "file" ? (
          <Button look="quiet" testid="provider-key-forget" disabled={busy.value !== ""} onClick={() => void set("provider.forget", {}, "providers.key_gone")}>
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
        <input id={address} class="wbx-input wbx-code" type="url" spellcheck={false} autocomplete="off" maxLength={2000} data-testid="provider-address" value={url.value} onInput={(event) => (url.value = event.currentTarget.value)} onKeyDown={enter} />
      </div>
      <div class="wbx-field">
        <div class="wbx-field-head"><label for={jobs}>{t("providers.jobs")}</label></div>
        <input id={jobs} class="wbx-input wbx-number" inputMode="numeric" autocomplete="off" data-testid="provider-jobs" aria-invalid={good ? undefined : "true"} value={count.value} onInput={(event) => (count.value = event.currentTarget.value)} onKeyDown={enter} />
      </div>
      <Button testid="provider-save" disabled={busy.value !== "" || !changed || !good} onClick={save}>{t("providers.save")}</Button>
    </div>
  );
}

function sentence(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
