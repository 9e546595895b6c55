/** The feed of the open topic as a widget of its own. */

import { FeedView } from "../feed/feed_view";
import { LightboxDialog } from "../feed/lightbox_dialog";
import type { WidgetProps } from "../model";
import type { Store } from "../store";

export function GenerationFeed({ store, traits }: WidgetProps<Store>) {
  const height = traits.height.value;
  return (
    <div
      class="wbx-feed-widget"
      style={height > 0 ? { height: `${height}px` } : { maxHeight: "max(480px, 90vh)" }}
    >
      <FeedView store={store} withPrompt={false} />
      <LightboxDialog store={store} />
    </div>
  );
}
