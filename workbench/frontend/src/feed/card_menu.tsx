/** The buttons that open the menus of an image and of a batch. */

import type { BatchRow, GenerationRow } from "../protocol";
import { feedText } from "../texts_feed";
import { MenuButton } from "../ui/menu";
import { batchEntries, imageEntries } from "./menus";
import type { FeedState } from "./state";

interface CardMenuProps {
  state: FeedState;
  row: GenerationRow;
  batch: BatchRow;
  tab: boolean;
}

export function CardMenu({ state, row, batch, tab }: CardMenuProps) {
  return (
    <MenuButton
      label={feedText("card.actions")}
      class="wbx-over"
      testid="image-menu"
      tabIndex={tab ? 0 : -1}
      items={() => imageEntries(state, row, batch, state.element)}
    />
  );
}

export function BatchMenu({ state, batch }: { state: FeedState; batch: BatchRow }) {
  return (
    <MenuButton
      label={feedText("batch.actions")}
      class="wbx-tool"
      testid="batch-menu"
      items={() => batchEntries(state, batch, state.element)}
    />
  );
}
