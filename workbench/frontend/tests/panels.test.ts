import { expect, test } from "vitest";

import { layoutFor } from "../src/widgets/panels";

const FRAME = 2; // px: a line to the left and one to the right
const BOTH = { config: true, topics: true };

test("at every width from 900 px up the feed has its 60 %, the lines of the frame taken off", () => {
  for (let total = 900; total <= 1400; total += 1) {
    for (const panels of [{}, { config_width: 420, topics_width: 360 }, { topics_open: false, config_width: 420 }]) {
      const { width } = layoutFor(total, panels, BOTH);
      expect((total - FRAME - width.config - width.topics) / total, `${total} px`).toBeGreaterThanOrEqual(0.6);
    }
  }
});
