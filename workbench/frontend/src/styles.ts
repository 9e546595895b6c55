/** All style sheets as one text, put once into each document (and shadow root) with a widget. */

import card from "./feed/card.css";
import feed from "./feed/feed.css";
import base from "./styles/base.css";
import tokens from "./styles/tokens.css";
import ui from "./ui/ui.css";
import configPanel from "./widgets/config_panel.css";
import header from "./widgets/header.css";
import lightbox from "./widgets/lightbox.css";
import page from "./widgets/page.css";
import promptBox from "./widgets/prompt_box.css";
import providers from "./widgets/providers.css";
import tokenBalance from "./widgets/token_balance.css";
import topicsSidebar from "./widgets/topics_sidebar.css";
import workbench from "./widgets/workbench.css";

// Tokens first; of the others each speaks of its own component only. A test compares with the files.
const ALL = [
  tokens, base, ui, card, feed, lightbox, workbench, page, header, configPanel, providers, promptBox,
  tokenBalance, topicsSidebar,
].join("\n");

/** Put the styles where `el` lives. They stay: other views may need them, and they are small. */
export function addStyles(el: Element): void {
  const root = el.getRootNode();
  const target = root instanceof ShadowRoot ? root : el.ownerDocument.head;
  const known = target.querySelector("style[data-wbx]");
  if (known?.textContent === ALL) return;
  const style = el.ownerDocument.createElement("style");
  style.dataset["wbx"] = "";
  style.textContent = ALL;
  // Another version of the page's code was here before: the newer one holds.
  if (known) known.replaceWith(style);
  else target.append(style);
}
