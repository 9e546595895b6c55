/** Step and bar at the lower edge of a running image. */

import type { GenerationRow } from "../protocol";
import { feedText } from "../texts_feed";
import { percent } from "./words";

export function stepText(row: GenerationRow): string {
  if (row.step !== null && row.total_steps !== null && row.total_steps > 0) {
    return feedText("card.step", { step: row.step, total: row.total_steps });
  }
  return row.detail;
}

export function Progress({ row, index }: { row: GenerationRow; index: number }) {
  const now = percent(row);
  const step = stepText(row);
  const text = step
    ? feedText("card.percent_step", { percent: now, step })
    : feedText("card.percent", { percent: now });
  return (
    <div class="wbx-progress" data-over={row.preview > 0 ? "" : undefined}>
      {step ? <span class="wbx-progress-step">{step}</span> : null}
      <div
        class="wbx-progress-bar"
        role="progressbar"
        data-testid="progress"
        aria-label={feedText("card.progress", { index })}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={now}
        aria-valuetext={text}
      >
        <div style={{ transform: `scaleX(${now / 100})` }} />
      </div>
    </div>
  );
}
