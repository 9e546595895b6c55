/** All shortcuts on one page; `?` opens it. */

import { APPLE, SUBMIT_KEYS } from "../texts";
import { t, type TextKey } from "../texts_dialogs";
import { Dialog } from "../ui/dialog";

const KEYS: readonly (readonly [what: TextKey, keys: string])[] = [
  ["keys.generate", SUBMIT_KEYS],
  ["keys.history", "↑ ↓"],
  ["keys.cards", "← → ↑ ↓"],
  ["keys.open", "⏎"],
  ["keys.select", t(APPLE ? "key.select_apple" : "key.select")],
  ["keys.favourite", "F"],
  ["keys.rate", "1 – 5"],
  ["keys.tag", "T"],
  ["keys.delete", t("key.delete")],
  ["keys.undo", t(APPLE ? "key.undo_apple" : "key.undo")],
  ["keys.walk", "← →"],
  ["keys.zoom", "+ − 0"],
  ["keys.download", "D"],
  ["keys.rename", "F2"],
  ["keys.close", t("key.escape")],
  ["keys.help", "?"],
];

export function Shortcuts({ onClose }: { onClose(): void }) {
  return (
    <Dialog title={t("keys.title")} testid="shortcuts-dialog" onClose={onClose}>
      <dl class="wbx-keys">
        {KEYS.map(([key, keys]) => (
          <div key={key}>
            <dt>{t(key)}</dt>
            <dd>{keys.split(", ").map((one) => <kbd key={one}>{one}</kbd>)}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
