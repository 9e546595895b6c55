/** Sizes by aspect ratio, within a model's limits and on its steps. */

import type { ParameterInfo } from "../protocol";

export const RATIOS = ["1:1", "4:3", "3:4", "16:9", "9:16"] as const;
export type Ratio = (typeof RATIOS)[number];
export interface SizePair { width: number; height: number }

type Side = Pick<ParameterInfo, "minimum" | "maximum" | "step" | "default">;

const NEAR = 0.02; // a ratio this close counts as the ratio: steps allow no better at times

export function valueOf(ratio: Ratio): number {
  const [wide = 1, high = 1] = ratio.split(":").map(Number);
  return wide / high;
}

/** The ratio that a size has, if it is one of those offered. */
export function ratioOf({ width, height }: SizePair): Ratio | undefined {
  return RATIOS.find((ratio) => Math.abs(width / height / valueOf(ratio) - 1) < NEAR);
}

/** The size of that ratio with about as many pixels as the model's own; undefined: none fits. */
export function sizeFor(ratio: Ratio, width: Side, height: Side): SizePair | undefined {
  const wanted = valueOf(ratio);
  const area = Number(width.default ?? 1024) * Number(height.default ?? 1024);
  let best: SizePair | undefined;
  let least = Infinity;
  for (const high of steps(height)) {
    const wide = onStep(width, high * wanted);
    if (wide === undefined) continue;
    const off = Math.abs(Math.log(wide / high / wanted));
    if (off > 0.06) continue;
    // The right ratio first, then the right number of pixels.
    const cost = Math.abs(Math.log((wide * high) / area)) + 12 * off;
    if (cost < least - 1e-9) [best, least] = [{ width: wide, height: high }, cost];
  }
  return best;
}

function* steps({ minimum, maximum, step }: Side): Generator<number> {
  const size = Math.max(step ?? 8, 1);
  for (let side = minimum ?? size; side <= (maximum ?? 4096); side += size) yield side;
}

/** The nearest value that the side takes; undefined outside its limits. */
function onStep({ minimum, maximum, step }: Side, value: number): number | undefined {
  const size = Math.max(step ?? 8, 1);
  const base = minimum ?? 0;
  const side = base + Math.round((value - base) / size) * size;
  return side < (minimum ?? 1) || side > (maximum ?? 4096) ? undefined : side;
}
