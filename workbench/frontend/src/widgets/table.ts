/** Class name of a widget in Python -> its component here, and the parts that it needs. */

import type { ComponentType } from "preact";

import type { WidgetProps } from "../model";
import type { Needs } from "../parts";
import type { Store } from "../store";
import { ConfigPanel } from "./config_panel";
import { GenerationFeed } from "./generation_feed";
import { Lightbox } from "./lightbox";
import { PromptBox } from "./prompt_box";
import { TokenBalance } from "./token_balance";
import { TopicsSidebar } from "./topics_sidebar";
import { Workbench } from "./workbench";

export const COMPONENTS: Readonly<Record<string, ComponentType<WidgetProps<Store>>>> = {
  ConfigPanel,
  GenerationFeed,
  Lightbox,
  PromptBox,
  TokenBalance,
  TopicsSidebar,
  Workbench,
};

/** `later` is what a click opens. */
export const NEEDS: Readonly<Record<string, Needs>> = {
  ConfigPanel: { now: ["settings"], later: ["dialogs"] },
  GenerationFeed: { now: ["feed"], later: ["lightbox"] },
  Lightbox: { now: [], later: ["lightbox"] },
  PromptBox: { now: ["settings"], later: [] },
  TokenBalance: { now: [], later: ["dialogs"] },
  TopicsSidebar: { now: ["topics"], later: [] },
  Workbench: { now: ["settings", "feed", "topics"], later: ["lightbox", "dialogs"] },
};
