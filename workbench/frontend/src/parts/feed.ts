/** The part with the feed: sections, batches, cards, their menus. */

import card from "../feed/card.css";
import feed from "../feed/feed.css";

export { FeedView } from "../feed/feed_view";
export const styles = [card, feed];
