/** One parameter of a model, as the control that its kind asks for. */

import type { ParameterInfo } from "../protocol";
import type { Store } from "../store";
import { number } from "../texts";
import { t } from "../texts_settings";
import { useDraft } from "../ui/draft";
import { FieldHead, NumberField, Select, SwitchField } from "../ui/field";
import type { Parsed } from "../ui/numbers";
import { Problem } from "../ui/problem";
import { useUnique } from "../ui/unique";

const LONG = 60; // letters; longer texts get several lines

interface ParameterProps {
  store: Store;
  parameter: ParameterInfo;
}

export function ParameterField({ store, parameter }: ParameterProps) {
  const { name, kind, help, unit } = parameter;
  const label = parameter.label || name;
  const value = store.desk.config.value.params[name] ?? parameter.default;
  const commit = (next: unknown): void => store.desk.setParam(name, next);
  switch (kind) {
    case "integer":
    case "number":
      // Without a default it is off until somebody enters one.
      return typeof value === "number" ? (
        <NumberField
          store={store}
          label={label}
          testid={`param-${name}`}
          value={value}
          limits={{ ...parameter, kind }}
          unit={unit}
          help={help}
          commit={commit}
        />
      ) : (
        <TextField store={store} label={label} help={help} testid={`param-${name}`} value={value} parse={optionalNumber(kind)} commit={commit} />
      );
    case "choice":
      return <ChoiceField parameter={parameter} label={label} value={value} commit={commit} />;
    case "boolean":
      return <SwitchField label={label} help={help} checked={value === true} onChange={commit} />;
    case "text":
      return <TextField store={store} label={label} help={help} testid={`param-${name}`} value={value} parse={text(parameter.maximum)} commit={commit} />;
    case "json":
      return <TextField store={store} label={label} help={help} testid={`param-${name}`} value={value} json parse={json} commit={commit} />;
  }
}

function ChoiceField({ parameter, label, value, commit }: { parameter: ParameterInfo; label: string; value: unknown; commit(value: unknown): void }) {
  const id = useUnique();
  const { choices, help, name } = parameter;
  const at = choices.findIndex((choice) => choice === value);
  const options = choices.map((choice, index) => ({ value: String(index), label: named(choice) }));
  if (at < 0) options.unshift({ value: "-1", label: value === null || value === undefined ? "–" : named(value as string) });
  return (
    <div class="wbx-field">
      <FieldHead id={id} label={label} help={help} />
      <Select
        id={id}
        testid={`param-${name}`}
        value={String(at)}
        choices={options}
        onChange={(index) => {
          if (choices[Number(index)] !== undefined) commit(choices[Number(index)]);
        }}
      />
    </div>
  );
}

/** "soft_light" → "Soft light"; what looks like a name of its own stays as it is. */
function named(choice: string | number | boolean): string {
  if (typeof choice === "boolean") return t(choice ? "config.on" : "config.off");
  if (typeof choice === "number") return number(choice);
  if (!/^[a-z][a-z0-9]*([_-][a-z0-9]+)*$/.test(choice)) return choice;
  const words = choice.replace(/[_-]/g, " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

interface TextProps {
  store: Store;
  label: string;
  help: string;
  testid: string;
  value: unknown;
  json?: boolean;
  parse(text: string): Parsed<unknown>;
  commit(value: unknown): void;
}

function TextField({ store, label, help, testid, value, json: isJson = false, parse, commit }: TextProps) {
  const id = useUnique();
  const show = (one: unknown): string =>
    one === null || one === undefined ? "" : isJson ? JSON.stringify(one) : String(one as string | number);
  const draft = useDraft({ store, label, value, show, parse, commit });
  const common = {
    id,
    class: isJson ? "wbx-input wbx-code" : "wbx-input",
    "data-testid": testid,
    value: draft.text,
    "aria-invalid": draft.problem ? ("true" as const) : undefined,
    "aria-describedby": draft.problem ? `${id}-problem` : undefined,
    onBlur: draft.leave,
  };
  return (
    <div class="wbx-field">
      <FieldHead id={id} label={label} help={help} />
      {isJson || draft.text.length > LONG ? (
        <textarea {...common} rows={2} spellcheck={!isJson} onInput={(event) => draft.input(event.currentTarget.value)} />
      ) : (
        <input {...common} type="text" dir="auto" onInput={(event) => draft.input(event.currentTarget.value)} />
      )}
      <Problem id={`${id}-problem`} text={draft.problem} />
    </div>
  );
}

function text(maximum: number | null) {
  const limit = maximum ?? 10_000;
  return (typed: string): Parsed<unknown> =>
    [...typed].length > limit ? { problem: t("field.long", { limit }) } : { value: typed };
}

function json(typed: string): Parsed<unknown> {
  if (typed.trim() === "") return { value: null };
  try {
    return { value: JSON.parse(typed) as unknown };
  } catch {
    return { problem: t("field.json") };
  }
}

function optionalNumber(kind: "integer" | "number") {
  return (typed: string): Parsed<unknown> => {
    if (typed.trim() === "") return { value: null };
    const value = Number(typed.replace(",", "."));
    if (!Number.isFinite(value)) return { problem: t("field.number") };
    return kind === "integer" && !Number.isInteger(value) ? { problem: t("field.whole") } : { value };
  };
}
