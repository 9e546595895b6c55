/** Width and height: the usual ratios, two numbers, and a lock between them. */

import { useSignal } from "@preact/signals";
import { useMemo, useRef } from "preact/hooks";

import { nearest } from "../fitting";
import type { ParameterInfo } from "../protocol";
import type { Store } from "../store";
import { t } from "../texts_settings";
import { IconButton } from "../ui/button";
import { stepKeys, useNumber } from "../ui/field";
import { Problem } from "../ui/problem";
import { tip } from "../ui/tooltip";
import { useUnique } from "../ui/unique";
import "./settings_icons";
import { type Ratio, RATIOS, ratioOf, sizeFor, valueOf } from "./sizes";

interface SizeProps {
  store: Store;
  width: ParameterInfo;
  height: ParameterInfo;
}

export function SizeField({ store, width, height }: SizeProps) {
  const heading = useUnique();
  const { config } = store.desk;
  const size = { width: config.value.width ?? 0, height: config.value.height ?? 0 };
  const offers = useMemo(() => RATIOS.map((ratio) => [ratio, sizeFor(ratio, width, height)] as const), [width, height]);
  // Coarse steps allow no exact ratio at times: what a button gave counts as its ratio.
  const given = offers.find(([, offer]) => offer?.width === size.width && offer.height === size.height);
  const chosen = given?.[0] ?? (size.width > 0 && size.height > 0 ? ratioOf(size) : undefined);
  const locked = config.value.ratio_lock;
  /** A ratio that is pressed takes the place of what is typed, also where it changes no number. */
  const pressed = useSignal(0);
  /** The ratio when the lock closed or a side was begun: each letter typed would round it anew. */
  const kept = useRef<number | null>(null);
  const begin = (): void => {
    const now = config.peek();
    kept.current = now.width && now.height ? now.width / now.height : null;
  };
  const commit = (side: "width" | "height", value: number): void => {
    const ratio = kept.current;
    if (!config.peek().ratio_lock || ratio === null) {
      store.desk.set({ [side]: value });
      return;
    }
    const other = side === "width" ? nearest(height, value / ratio) : nearest(width, value * ratio);
    store.desk.set(side === "width" ? { width: value, height: other } : { width: other, height: value });
  };
  return (
    <div class="wbx-field wbx-part" role="group" aria-labelledby={heading}>
      <div class="wbx-field-head">
        <span id={heading}>{t("config.size")}</span>
      </div>
      <div class="wbx-ratios" role="group" aria-label={t("config.ratio")}>
        {offers.map(([ratio, offer]) => (
          <button
            key={ratio}
            type="button"
            class="wbx-ratio"
            data-testid={`ratio-${ratio}`}
            aria-pressed={ratio === chosen}
            disabled={offer === undefined}
            aria-label={offer ? t("config.ratio_option", { ratio, width: String(offer.width), height: String(offer.height) }) : ratio}
            onClick={() => {
              if (offer === undefined) return;
              pressed.value += 1;
              store.desk.set(offer);
            }}
            {...(offer ? tip(`${offer.width} × ${offer.height}`) : {})}
          >
            <Shape ratio={ratio} />
            <span>{ratio}</span>
          </button>
        ))}
      </div>
      <div class="wbx-sides">
        <SideInput key={`width ${pressed.value}`} store={store} side="width" letter="W" parameter={width} onFocus={begin} commit={(value) => commit("width", value)} />
        <IconButton
          class="wbx-boxed"
          icon={locked ? "link" : "unlink"}
          label={t("config.lock")}
          pressed={locked}
          testid="ratio-lock"
          onClick={() => {
            begin();
            store.desk.set({ ratio_lock: !locked });
          }}
        />
        <SideInput key={`height ${pressed.value}`} store={store} side="height" letter="H" parameter={height} onFocus={begin} commit={(value) => commit("height", value)} />
      </div>
    </div>
  );
}

/** An outline of the ratio. */
function Shape({ ratio }: { ratio: Ratio }) {
  const value = valueOf(ratio);
  const wide = value >= 1 ? Math.min(18, 13 * Math.sqrt(value)) : 13 * Math.sqrt(value);
  return <span class="wbx-ratio-shape" style={{ width: `${Math.round(wide)}px`, height: `${Math.round(wide / value)}px` }} aria-hidden="true" />;
}

interface SideProps {
  store: Store;
  side: "width" | "height";
  letter: string;
  parameter: ParameterInfo;
  onFocus(): void;
  commit(value: number): void;
}

function SideInput({ store, side, letter, parameter, onFocus, commit }: SideProps) {
  const id = useUnique();
  const value = store.desk.config.value[side] ?? 0;
  const limits = { ...parameter, kind: parameter.kind === "number" ? ("number" as const) : ("integer" as const) };
  const label = t(`config.${side}`);
  const draft = useNumber({ store, label, value, limits, commit });
  return (
    <div class="wbx-side-field">
      <label class="wbx-letter" for={id} aria-hidden="true">{letter}</label>
      <input
        id={id}
        type="text"
        inputMode="numeric"
        autocomplete="off"
        class="wbx-input wbx-number"
        data-testid={side}
        aria-label={label}
        value={draft.text}
        aria-invalid={draft.problem ? "true" : undefined}
        aria-describedby={draft.problem ? `${id}-problem` : undefined}
        onFocus={(event) => {
          onFocus();
          event.currentTarget.select();
        }}
        onInput={(event) => draft.input(event.currentTarget.value)}
        onBlur={draft.leave}
        onKeyDown={(event) => {
          draft.key(event);
          stepKeys(event, value, limits, commit);
        }}
      />
      <Problem id={`${id}-problem`} text={draft.problem} />
    </div>
  );
}
