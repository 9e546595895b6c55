/** The feed of the open topic as a widget of its own. */

import { LightboxDialog } from "../feed/lightbox_place";
import { LateFeed } from "../feed/skeleton";
import type { WidgetProps } from "../model";
import type { Store } from "../store";

export function GenerationFeed({ store, traits }: WidgetProps<Store>) {
  const height = traits.height.value;
  return (
    <div
      class="wbx-feed-widget"
      style={height > 0 ? { height: `${height}px` } : { maxHeight: "max(480px, 90vh)" }}
    >
      <LateFeed store={store} withPrompt={false} />
      <LightboxDialog store={store} />
    </div>
  );
}
