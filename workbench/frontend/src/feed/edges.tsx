/** The feed where there are no images (yet): loading, empty, failed, and its two ends. */

import type { Store } from "../store";
import { feedText } from "../texts_feed";
import { Icon } from "../ui/icons";
import { tip } from "../ui/tooltip";
import { attempt } from "./actions";
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
  if (feed.hasOlder.value) return <SkeletonRow state={state} />;
  return (
    <div class="wbx-edge wbx-end" data-testid="feed-end">
      <p>{feedText("feed.end")}</p>
    </div>
  );
}

export function Skeleton({ state }: { state: FeedState }) {
  return (
    <div class="wbx-skeleton" role="status" aria-label={feedText("feed.loading")}>
      <div class="wbx-section wbx-bone" style={{ width: "72px" }} />
      <SkeletonRow state={state} />
      <SkeletonRow state={state} />
    </div>
  );
}

function SkeletonRow({ state }: { state: FeedState }) {
  const { columns } = state.sheet.value;
  return (
    <div class="wbx-batch wbx-bones" aria-hidden="true">
      <div class="wbx-bone" style={{ width: "46%", height: "14px", margin: "15px 0 8px" }} />
      <div class="wbx-bone" style={{ width: "28%", height: "11px", margin: "0 0 13px" }} />
      <div class="wbx-grid">
        {Array.from({ length: columns === 1 ? 1 : 4 }, (_, place) => (
          <div key={place} class="wbx-card wbx-bone" style={{ aspectRatio: "1" }} />
        ))}
      </div>
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
