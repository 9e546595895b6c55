/** The topics as a widget of its own. */

import type { ComponentChildren } from "preact";

import type { WidgetProps } from "../model";
import type { Store } from "../store";
import { t } from "../texts";
import { Icon } from "../ui/icons";
import { late } from "../ui/late";

export function TopicsSidebar({ store, traits }: WidgetProps<Store>) {
  const height = traits.height.value;
  return (
    <div class="wbx-frame wbx-topics-widget" style={height > 0 ? { height: `${height}px` } : undefined}>
      <Topics store={store} simple={traits.simple.value} />
    </div>
  );
}

export interface TopicsProps {
  store: Store;
  simple: boolean;
  /** A topic was opened: a drawer closes. */
  onOpen?: () => void;
  /** The button that hides the panel, where there is one. */
  fold?: ComponentChildren;
}

export const Topics = late<"topics", TopicsProps>("topics", (part) => part.TopicsPanel, Waiting);

/** The panel as it is before it knows any topic; nothing in it can be done yet. */
function Waiting({ store, fold }: TopicsProps) {
  const loading = store.failure.value === null;
  return (
    <nav class="wbx-topics" aria-label={t("topics.title")}>
      <header class="wbx-panel-head">
        <h2 class="wbx-panel-title">{t("topics.title")}</h2>
        <span class="wbx-icon-button wbx-faint" aria-hidden="true"><Icon name="more" /></span>
        {fold ?? null}
      </header>
      <div class="wbx-topics-new">
        <button type="button" class="wbx-new-topic" data-testid="new-topic" disabled>
          <Icon name="plus" />
          {t("topics.new")}
        </button>
      </div>
      <div class="wbx-topics-scroll" role="group" aria-label={t("topics.list")} aria-busy={loading}>
        {loading ? <TopicsSkeleton /> : null}
      </div>
    </nav>
  );
}

export function TopicsSkeleton() {
  return (
    <div aria-hidden="true">
      {[72, 88, 56, 80].map((width) => (
        <div key={width} class="wbx-topic-open">
          <span class="wbx-cover wbx-skel" />
          <span class="wbx-topic-words">
            <span class="wbx-skel" style={{ width: `${width}px`, height: "12px", margin: "4px 0 8px" }} />
            <span class="wbx-skel" style={{ width: "48px", height: "10px" }} />
          </span>
        </div>
      ))}
    </div>
  );
}
