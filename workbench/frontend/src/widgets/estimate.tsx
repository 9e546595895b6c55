/** What the next request will cost and take, and what would refuse it: asked of the kernel as often as
 *  the settings change. */

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";

import { isAborted, reasonOf } from "../errors";
import type { Estimate } from "../protocol";
import type { Store } from "../store";
import { amount } from "../texts";
import { clockTime, roughly, t } from "../texts_settings";
import { Icon } from "../ui/icons";
import { tip } from "../ui/tooltip";

const AFTER_MS = 250;
const FEW = 10; // images of today: from here on their number is told
/** The days of the limits are those of UTC. */
const DAY_MS = 86_400_000;
const nextDay = (now: number): number => (Math.floor(now / DAY_MS) + 1) * DAY_MS;

export interface Estimating {
  estimate: Estimate | null;
  problem: string;
  /** Images that a visitor may still make today; null: no limit. */
  today: number | null;
  /** Why these very settings would be refused; "" where nothing speaks against them, or it is not
   *  known yet. */
  refusal: string;
  /** Asks anew and returns the refusal; "" also where no answer comes. */
  again(): Promise<string>;
}

/** The kernel's estimate for the settings; asked again a moment after they changed. */
export function useEstimate(store: Store): Estimating {
  const limits = store.hello.value?.limits;
  const today = useSignal(limits?.images_left ?? null);
  const estimate = useSignal<Estimate | null>(null);
  const problem = useSignal("");
  /** The settings that the last answer is about. */
  const about = useSignal("");
  const { model, n, width, height, params } = store.desk.config.value;
  const args = { model, n, width, height, params };
  // What a topic may cost is its own.
  const settings = JSON.stringify([args, store.desk.topicId.value]);
  // Prices, and with each booking the balance, may have changed.
  const priced = store.models.value;
  const balance = [...store.balances.value.values()].map((row) => row.amount_micro).join();
  const live = store.link.value === "live";
  // What runs counts against limits, and each day begins anew.
  const asked = `${store.feed.active.value.length} ${nextDay(store.now.value)}`;

  const ask = async (signal?: AbortSignal): Promise<string> => {
    try {
      const answer = await store.call<Estimate>("estimate", args, signal ? { signal } : {});
      estimate.value = answer;
      about.value = settings;
      today.value = answer.images_left ?? null;
      problem.value = "";
      return answer.refusal ?? "";
    } catch (error) {
      if (isAborted(error)) return "";
      estimate.value = null;
      problem.value = reasonOf(error);
      return "";
    }
  };
  useEffect(() => {
    if (!live || model === "") return undefined;
    const abort = new AbortController();
    const timer = setTimeout(() => void ask(abort.signal), AFTER_MS);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [live, settings, priced, balance, asked]);
  const refusal = about.value === settings ? (estimate.value?.refusal ?? "") : "";
  return { estimate: estimate.value, problem: problem.value, today: today.value, refusal, again: () => ask() };
}

/** What a provider bills is an estimate, and where it says nothing before, it is not free either. */
function costText({ cost_micro, unit, by_provider }: Estimate): string {
  if (cost_micro === 0) return t(by_provider ? "amount.billed" : "amount.free");
  const text = amount(cost_micro, unit);
  return by_provider ? t("amount.about", { amount: text }) : text;
}

interface LineProps {
  store: Store;
  estimating: Estimating;
  /** A sentence below says already what stands against it. */
  told: boolean;
}

export function EstimateLine({ store, estimating, told }: LineProps) {
  const { n } = store.desk.config.value;
  const { estimate, problem, today } = estimating;
  const parts = [t("prompt.estimate_images", { count: n })];
  if (estimate !== null) {
    parts.push(costText(estimate));
    if (estimate.seconds !== null) parts.push(t("prompt.about", { time: roughly(estimate.seconds) }));
  }
  const left = estimate?.balance_micro ?? null;
  const short = estimate !== null && left !== null && left < estimate.cost_micro;
  return (
    <>
      <span class="wbx-estimate" data-testid="estimate" data-short={short ? "" : undefined} {...(problem ? tip(problem) : {})}>
        {parts.map((part, at) => <span key={at} class={at === 0 ? "wbx-estimate-count" : undefined}>{part}</span>)}
        {short && !told ? (
          <span class="wbx-estimate-short" title={t("prompt.too_little")}>
            <Icon name="warning" size={13} />
            {t("prompt.short_of", { amount: amount(left, estimate.unit) })}
          </span>
        ) : null}
      </span>
      {today !== null && today < FEW && !told ? (
        <span class={today < n ? "wbx-left-today wbx-estimate-short" : "wbx-left-today"} data-testid="images-left">
          {today > 0 ? t("prompt.left_today", { count: today }) : t("prompt.none_left", { time: clockTime(nextDay(store.now.value)) })}
        </span>
      ) : null}
    </>
  );
}
