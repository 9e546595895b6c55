/** The feed before its first images: rows of empty cards, as many beside one another as there will be. */

import { useSignal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";

import type { Store } from "../store";
import { t } from "../texts";
import { late } from "../ui/late";
import { columnsFor } from "./layout";

export function Skeleton({ columns }: { columns: number }) {
  return (
    <div class="wbx-skeleton" role="status" aria-label={t("feed.loading")}>
      <div class="wbx-section wbx-bone" style={{ width: "72px" }} />
      <SkeletonRow columns={columns} />
      <SkeletonRow columns={columns} />
    </div>
  );
}

export function SkeletonRow({ columns }: { columns: number }) {
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

export interface FeedProps {
  store: Store;
  /** Beside a prompt box: example prompts can be put into it. */
  withPrompt?: boolean;
}

/** The feed; the skeleton until its part is there. */
export const LateFeed = late<"feed", FeedProps>("feed", (part) => part.FeedView, Waiting);

function Waiting() {
  const scroller = useRef<HTMLDivElement>(null);
  const columns = useSignal(4);
  useLayoutEffect(() => {
    const element = scroller.current!;
    const look = (): void => {
      if (element.clientWidth > 0) columns.value = columnsFor(element.clientWidth);
    };
    look();
    const observer = new ResizeObserver(look);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  return (
    <div class="wbx-feed">
      <div
        class="wbx-feed-scroll"
        ref={scroller}
        data-testid="feed"
        data-phase="loading"
        style={{ "--wbx-columns": `${columns.value}` }}
        data-columns={columns.value}
      >
        <Skeleton columns={columns.value} />
      </div>
    </div>
  );
}
