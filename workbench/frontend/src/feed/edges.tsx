/** The feed where there are no images (yet): loading, empty, failed, and its two ends. */

import type { Store } from "../store";
import { feedText } from "../texts_feed";
import { attempt } from "../ui/attempt";
import { Icon } from "../ui/icons";
import { tip } from "../ui/tooltip";
import { SkeletonRow } from "./skeleton";
import type { FeedState } from "./state";

/** At the lower end: more is coming, more could not come, or there is no more. */
export function EndMark({ state }: { state: FeedState }) {
  const { feed } = state.store;
  const failed = state.olderError.value;
  if (failed !== "") {
    return (
      <div class="wbx-edge" role="alert" data-testid="error">
        <p>{feedText("feed.more_failed", { reason: failed })}</p>
        <button type="button" class="wbx-small" data-testid="retry" onClick={() => void state.older(true)}>
          <Icon name="refresh" />
          {feedText("feed.again")}
        </button>
      </div>
    );
  }
  // Under a first batch that has just begun there is nothing to be the end of.
  if (feed.history.value.length === 0 && !feed.hasOlder.value) return null;
  if (feed.hasOlder.value) return <SkeletonRow columns={state.sheet.value.columns} />;
  return (
    <div class="wbx-edge wbx-end" data-testid="feed-end">
      <p>{feedText("feed.end")}</p>
    </div>
  );
}

export function FeedFailed({ store }: { store: Store }) {
  const reason = store.feed.error.value?.message ?? "";
  return (
    <div class="wbx-empty" role="alert" data-testid="error">
      <Icon name="alert" />
      <h3>{feedText("feed.failed_title")}</h3>
      <p>{reason}</p>
      <button
        type="button"
        class="wbx-small"
        data-testid="retry"
        onClick={() => void attempt(store, () => store.feed.refresh())}
      >
        <Icon name="refresh" />
        {feedText("feed.again")}
      </button>
    </div>
  );
}

export function Empty({ store, withPrompt }: { store: Store; withPrompt: boolean }) {
  const examples = store.examples.value;
  const example = examples[0];
  const none = store.desk.topicId.value === null;
  return (
    <div class="wbx-empty" data-testid="empty">
      <Icon name="image" />
      <h3>{feedText(none ? "feed.none_title" : "feed.empty_title")}</h3>
      {withPrompt ? (
        <>
          <p>{feedText(none ? "feed.none_hint" : "feed.empty_hint")}</p>
          {example === undefined ? null : (
            <button
              type="button"
              class="wbx-example"
              data-testid="example"
              {...tip(feedText("feed.use_example"))}
              onClick={() => store.desk.setDraft(example)}
            >
              {example}
            </button>
          )}
        </>
      ) : (
        <p>{feedText("feed.standalone_empty")}</p>
      )}
    </div>
  );
}
