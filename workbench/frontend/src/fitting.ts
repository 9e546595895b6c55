/** What a change of the configuration brings with it: another model keeps what it takes of the
 *  settings, and with the ratio locked one side moves the other. The kernel decides the same way
 *  (widgets/config.py) and has the last word; this is so that the panel need not wait for it. */

import type { Config, ModelInfo, ParameterInfo } from "./protocol";
import { t } from "./texts";

export interface Fitted {
  changes: Partial<Config>;
  /** Labels of what the model does not take over. */
  dropped: string[];
}

export const SIDES = ["width", "height"] as const;

export function fits(parameter: ParameterInfo, value: unknown): boolean {
  const low = parameter.minimum ?? -Infinity;
  const high = parameter.maximum ?? Infinity;
  switch (parameter.kind) {
    case "choice":
      return parameter.choices.some((choice) => choice === value);
    case "boolean":
      return typeof value === "boolean";
    case "text":
      return typeof value === "string" && value.length <= high;
    case "integer":
      return Number.isInteger(value) && isBetween(value, low, high) && isOnStep(parameter, value as number);
    case "number":
      return isBetween(value, low, high);
    case "json":
      return true;
  }
}

function isBetween(value: unknown, low: number, high: number): boolean {
  return typeof value === "number" && value >= low && value <= high;
}

function isOnStep(parameter: ParameterInfo, value: number): boolean {
  return !parameter.step || (value - (parameter.minimum ?? 0)) % parameter.step === 0;
}

/** The settings as `model` takes them. `before`: the model until now, if it is known. */
export function fitTo(config: Config, before: ModelInfo | undefined, model: ModelInfo): Fitted {
  const dropped: string[] = [];
  const changes: Partial<Config> = { model: model.id };
  if (config.n > model.max_images) {
    changes.n = model.max_images;
    dropped.push(t("config.images"));
  }
  if (config.seed !== null && !model.seeds) {
    changes.seed = null;
    dropped.push(t("config.seed"));
  }
  if (config.negative_prompt && !model.negative_prompt) {
    changes.negative_prompt = "";
    dropped.push(t("prompt.negative"));
  }
  const old = new Map(before?.parameters.map((parameter) => [parameter.name, parameter]));
  const sizes = { width: config.width, height: config.height };
  const values: Record<string, unknown> = { ...config.params, ...sizes };
  // What was only the default of the model before is no choice to keep.
  const chosen = (name: string): boolean =>
    values[name] !== undefined && values[name] !== null && values[name] !== old.get(name)?.default;
  const params: Record<string, unknown> = {};
  for (const parameter of model.parameters) {
    const { name } = parameter;
    const kept = chosen(name) && fits(parameter, values[name]);
    if (chosen(name) && !kept) dropped.push(old.get(name)?.label ?? parameter.label);
    const value = kept ? values[name] : parameter.default;
    if (name === "width" || name === "height") changes[name] = value as number | null;
    else params[name] = value;
  }
  const taken = new Set(model.parameters.map((parameter) => parameter.name));
  for (const name of Object.keys(values)) {
    if (taken.has(name)) continue;
    if (chosen(name)) dropped.push(old.get(name)?.label ?? name);
    if (name === "width" || name === "height") changes[name] = null;
  }
  changes.params = params;
  return { changes, dropped };
}

/** With the ratio locked: what the other side becomes when one is set. */
export function otherSide(config: Config, changes: Partial<Config>, model: ModelInfo | undefined): Partial<Config> {
  const given = SIDES.filter((side) => changes[side] !== undefined);
  const [side] = given;
  if (!config.ratio_lock || "ratio_lock" in changes || given.length !== 1 || !side) return {};
  const other = side === "width" ? "height" : "width";
  const parameter = model?.parameters.find((one) => one.name === other);
  const [value, old, oldOther] = [changes[side], config[side], config[other]];
  if (!parameter || !value || !old || !oldOther) return {};
  return { [other]: nearest(parameter, (value * oldOther) / old) };
}

/** The whole number nearest to `value` that the parameter takes. */
export function nearest(parameter: ParameterInfo, value: number): number {
  const low = parameter.minimum ?? 0;
  const step = Math.max(1, parameter.step ?? 1);
  const high = parameter.maximum ?? Infinity;
  const top = Number.isFinite(high) ? low + Math.floor((high - low) / step) * step : Infinity;
  return Math.min(top, Math.max(low, low + Math.round((value - low) / step) * step));
}
