/** Where prompts are written and sent, as a widget of its own. */

import type { WidgetProps } from "../model";
import type { Store } from "../store";
import { late } from "../ui/late";

export function PromptBox({ store }: WidgetProps<Store>) {
  return (
    <div class="wbx-frame wbx-prompt-widget">
      <Prompt store={store} />
      {store.hello.value !== null && store.shows("references") ? <ReferencesField store={store} /> : null}
    </div>
  );
}

export function Prompt({ store }: { store: Store }) {
  return store.hello.value === null ? <PromptSkeleton /> : <PromptForm store={store} />;
}

function PromptSkeleton() {
  return (
    <div class="wbx-ask" aria-hidden="true">
      <span class="wbx-skel" style={{ width: "55%", height: "14px", margin: "4px 0 20px" }} />
      <div class="wbx-ask-row">
        <span class="wbx-skel" style={{ width: "150px", height: "12px" }} />
        <span class="wbx-skel wbx-ask-go" style={{ width: "112px", height: "32px" }} />
      </div>
    </div>
  );
}

const Nothing = (): null => null;
const PromptForm = late("settings", (part) => part.PromptForm, PromptSkeleton);
const ReferencesField = late("settings", (part) => part.ReferencesField, Nothing);
