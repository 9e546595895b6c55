/** Fields with their names, help and mistakes: number, slider with number, choice, switch, text. */

import type { ComponentChildren, TargetedKeyboardEvent } from "preact";

import { t } from "../texts_settings";
import { useDraft } from "./draft";
import { Icon } from "./icons";
import { type Limits, parseNumber, shownNumber, stepOf, stepped, tidy } from "./numbers";
import { Problem } from "./problem";
import { tip } from "./tooltip";
import { useUnique } from "./unique";

/** Name and help of a field; `side` = its value, at the right. */
export function FieldHead({ id, label, help, side }: { id: string; label: string; help?: string; side?: ComponentChildren }) {
  return (
    <div class="wbx-field-head">
      <label for={id}>{label}</label>
      {help ? <Help label={label} help={help} /> : null}
      {side ?? null}
    </div>
  );
}

function Help({ label, help }: { label: string; help: string }) {
  return (
    <button type="button" class="wbx-help" aria-label={`${t("field.help", { name: label })}: ${help}`} {...tip(help)}>
      <Icon name="help" size={13} />
    </button>
  );
}

export interface NumberProps {
  store: object;
  label: string;
  value: number;
  limits: Limits;
  testid?: string | undefined;
  commit(value: number): void;
}

/** The bare number; where its name and its mistake stand is up to the caller. */
export function useNumber({ store, label, value, limits, commit }: NumberProps) {
  return useDraft({
    store,
    label,
    value,
    show: (one) => shownNumber(one, limits),
    parse: (text) => parseNumber(text, limits),
    commit: (one) => commit(tidy(one)),
  });
}

export function stepKeys(
  event: TargetedKeyboardEvent<HTMLInputElement>,
  value: number,
  limits: Limits,
  commit: (value: number) => void,
): void {
  const by = { ArrowUp: 1, ArrowDown: -1, PageUp: 10, PageDown: -10 }[event.key];
  if (by === undefined) return;
  event.preventDefault();
  const typed = parseNumber(event.currentTarget.value, { ...limits, minimum: null, maximum: null, step: null });
  commit(stepped("value" in typed ? typed.value : value, by, limits));
}

interface SliderProps extends NumberProps {
  help?: string;
  unit?: string;
  /** Where the slider ends, when the limit is too far away to slide to. */
  reach?: number;
  /** Names of two buttons beside the number, which go on where the slider ends. */
  steps?: { less: string; more: string } | undefined;
}

/** Name, number, and where both limits are known a slider. */
export function NumberField(props: SliderProps) {
  const { label, value, limits, testid, help, unit, reach, steps, commit } = props;
  const id = useUnique();
  const draft = useNumber(props);
  const { minimum, maximum } = limits;
  const top = reach ?? maximum;
  const slides = minimum !== null && top !== null && top > minimum;
  const filled = slides ? (100 * (Math.min(value, top) - minimum)) / (top - minimum) : 0;
  const input = (
    <input
      id={id}
      type="text"
      inputMode={limits.kind === "integer" ? "numeric" : "decimal"}
      autocomplete="off"
      class={slides ? "wbx-number wbx-number-bare" : "wbx-input wbx-number"}
      data-testid={testid}
      value={draft.text}
      size={slides ? Math.max(3, draft.text.length) : undefined}
      aria-invalid={draft.problem ? "true" : undefined}
      aria-describedby={draft.problem ? `${id}-problem` : undefined}
      onInput={(event) => draft.input(event.currentTarget.value)}
      onBlur={draft.leave}
      onFocus={(event) => event.currentTarget.select()}
      onKeyDown={(event) => {
        draft.key(event);
        stepKeys(event, value, limits, commit);
      }}
    />
  );
  const step = (by: 1 | -1, name: string | undefined) =>
    name === undefined ? null : (
      <StepButton icon={by < 0 ? "minus" : "plus"} label={name} from={value} to={tidy(stepped(value, by, limits))} commit={commit} />
    );
  const shownUnit = unit ? <span class="wbx-unit">{unit}</span> : null;
  return (
    <div class="wbx-field">
      <FieldHead id={id} label={label} {...(help ? { help } : {})} side={slides ? <span class="wbx-field-side">{step(-1, steps?.less)}{input}{shownUnit}{step(1, steps?.more)}</span> : null} />
      {slides ? (
        <input
          type="range"
          class="wbx-slider"
          style={{ "--wbx-filled": `${filled}%` }}
          min={minimum}
          max={top}
          step={stepOf(limits)}
          value={Math.min(value, top)}
          aria-label={label}
          aria-valuetext={`${shownNumber(value, limits)}${unit ? ` ${unit}` : ""}`}
          onInput={(event) => commit(tidy(event.currentTarget.valueAsNumber))}
        />
      ) : (
        <div class="wbx-input-row">{input}{shownUnit}</div>
      )}
      <Problem id={`${id}-problem`} text={draft.problem} />
    </div>
  );
}

interface StepProps { icon: "minus" | "plus"; label: string; from: number; to: number; commit(value: number): void }

function StepButton({ icon, label, from, to, commit }: StepProps) {
  const ends = from === to;
  return (
    <button
      type="button"
      class="wbx-step"
      data-testid={`step-${icon}`}
      aria-label={label}
      // Not `disabled`: it would lose the focus in the midst of pressing.
      aria-disabled={ends ? "true" : undefined}
      {...tip(label)}
      onClick={() => {
        if (!ends) commit(to);
      }}
    >
      <Icon name={icon} size={14} />
    </button>
  );
}

export interface Choice {
  value: string;
  label: string;
  disabled?: boolean;
}
export interface ChoiceGroup {
  label: string;
  choices: Choice[];
}

interface SelectProps {
  id: string;
  value: string;
  choices: readonly (Choice | ChoiceGroup)[];
  testid?: string | undefined;
  /** Small text at the right of what is chosen. */
  note?: string;
  label?: string;
  onChange(value: string): void;
}

/** The browser's own list: it works by keyboard, by touch and in every assistive technology. */
export function Select({ id, value, choices, testid, note, label, onChange }: SelectProps) {
  return (
    <div class="wbx-select">
      <select id={id} value={value} data-testid={testid} aria-label={label} onChange={(event) => onChange(event.currentTarget.value)}>
        {choices.map((one) =>
          "choices" in one ? (
            <optgroup key={one.label} label={one.label}>
              {one.choices.map((choice) => <Option key={choice.value} choice={choice} chosen={value} />)}
            </optgroup>
          ) : (
            <Option key={one.value} choice={one} chosen={value} />
          ),
        )}
      </select>
      {note ? <span class="wbx-select-note" aria-hidden="true">{note}</span> : null}
      <Icon name="chevron-down" size={14} />
    </div>
  );
}

function Option({ choice: { value, label, disabled }, chosen }: { choice: Choice; chosen: string }) {
  return <option value={value} disabled={disabled ?? false} selected={value === chosen}>{label}</option>;
}

export function SwitchField({ label, help, checked, onChange }: { label: string; help?: string; checked: boolean; onChange(on: boolean): void }) {
  const id = useUnique();
  return (
    <div class="wbx-field">
      <FieldHead
        id={id}
        label={label}
        {...(help ? { help } : {})}
        side={
          <input
            id={id}
            type="checkbox"
            role="switch"
            class="wbx-switch"
            checked={checked}
            onChange={(event) => onChange(event.currentTarget.checked)}
          />
        }
      />
    </div>
  );
}
