/** The style sheets as texts, put once into each document (and shadow root) with a widget: those of
 *  the root part at once, those of another part when it is there. */

import type { PartName } from "./parts";
import base from "./styles/base.css";
import tokens from "./styles/tokens.css";
import waiting from "./styles/waiting.css";
import ui from "./ui/ui.css";
import header from "./widgets/header.css";
import page from "./widgets/page.css";
import tokenBalance from "./widgets/token_balance.css";
import workbench from "./widgets/workbench.css";

type Sheet = "base" | "frame" | PartName;

/** Their order in the page, whenever they come. Each speaks of its own components only, and of what
 *  those of "base" share. */
const ORDER: readonly Sheet[] = ["base", "feed", "lightbox", "frame", "settings", "dialogs", "topics"];
const TEXTS = new Map<Sheet, string>([
  // A test compares with the files.
  ["base", [tokens, base, ui, waiting].join("\n")],
  ["frame", [workbench, page, header, tokenBalance].join("\n")],
]);

/** Documents and shadow roots that show a widget now, with how many. */
const targets = new Map<ParentNode, number>();

/** Put the styles where `el` lives; returns what to call when it goes. They stay: other views may
 *  need them, and they are small. */
export function addStyles(el: Element): () => void {
  const root = el.getRootNode();
  const target = root instanceof ShadowRoot ? root : el.ownerDocument.head;
  targets.set(target, (targets.get(target) ?? 0) + 1);
  for (const [sheet, text] of TEXTS) put(target, sheet, text);
  return () => {
    const left = (targets.get(target) ?? 1) - 1;
    if (left > 0) targets.set(target, left);
    else targets.delete(target);
  };
}

/** Those of a part that is there now. */
export function addPartStyles(part: PartName, styles: readonly string[]): void {
  const text = styles.join("\n");
  TEXTS.set(part, text);
  for (const target of targets.keys()) put(target, part, text);
}

function put(target: ParentNode, sheet: Sheet, text: string): void {
  const there = [...target.querySelectorAll<HTMLStyleElement>("style[data-wbx]")];
  const known = there.find((one) => one.dataset["wbx"] === sheet);
  if (known?.textContent === text) return;
  const style = (target.ownerDocument ?? document).createElement("style");
  style.dataset["wbx"] = sheet;
  style.textContent = text;
  const rank = ORDER.indexOf(sheet);
  const next = there.find((one) => ORDER.indexOf(one.dataset["wbx"] as Sheet) > rank);
  // Another version of the page's code was here before: the newer one holds.
  if (known) known.replaceWith(style);
  else if (next) next.before(style);
  else target.append(style);
}
