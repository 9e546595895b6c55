/** Five stars as radio buttons; the chosen one again takes the rating away. */

import { feedText } from "../texts_feed";
import { Icon } from "../ui/icons";
import { tip } from "../ui/tooltip";
import "./icons";

export function Stars({ rating, onRate }: { rating: number; onRate(rating: number): void }) {
  return (
    <div class="wbx-stars" role="group" aria-label={feedText("box.rating")} data-testid="rating">
      {[1, 2, 3, 4, 5].map((star) => (
        <button
          key={star}
          type="button"
          aria-pressed={star === rating}
          aria-label={feedText(star === 1 ? "box.star_one" : "box.star", { count: star })}
          {...tip(feedText(star === 1 ? "box.star_one" : "box.star", { count: star }), String(star))}
          data-on={star <= rating ? "" : undefined}
          onClick={() => onRate(star)}
        >
          <Icon name="star" />
        </button>
      ))}
    </div>
  );
}
