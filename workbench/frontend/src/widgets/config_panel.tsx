/** The settings of the next request, as a widget of its own. */

import type { Traits, WidgetProps } from "../model";
import type { Store } from "../store";
import { t } from "../texts";
import { late } from "../ui/late";

export function ConfigPanel({ store, traits }: WidgetProps<Store>) {
  const height = traits.height.value;
  return (
    <div class="wbx-frame wbx-config-widget" style={height > 0 ? { height: `${height}px` } : undefined}>
      <Settings store={store} traits={traits} />
    </div>
  );
}

interface SettingsProps {
  store: Store;
  traits: Traits;
}

export function Settings({ store, traits }: SettingsProps) {
  if (store.failure.value !== null) return null; // said in the middle; here is nothing to wait for
  if (store.hello.value === null) return <ConfigSkeleton />;
  return <ConfigForm store={store} traits={traits} />;
}

function ConfigSkeleton() {
  return (
    <div class="wbx-config" data-testid="config" aria-busy="true" aria-label={t("config.label")} role="group">
      {[64, 52, 60, 44, 56].map((width, at) => (
        <div key={at} class="wbx-field" aria-hidden="true">
          <span class="wbx-skel" style={{ width: `${width}px`, height: "11px", margin: "5px 0 4px" }} />
          <span class="wbx-skel" style={{ height: at === 1 ? "38px" : "30px" }} />
        </div>
      ))}
    </div>
  );
}

const ConfigForm = late("settings", (part) => part.ConfigForm, ConfigSkeleton);
