/** The part with the feed: sections, batches, cards, their menus, and how to take all of it along. */

import card from "../feed/card.css";
import feed from "../feed/feed.css";

export { FeedView } from "../feed/feed_view";
export { Temporary } from "../widgets/temporary";
export const styles = [card, feed];
