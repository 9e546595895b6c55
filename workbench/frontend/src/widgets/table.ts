/** Class name of a widget in Python -> its component here. */

import type { ComponentType } from "preact";

import type { WidgetProps } from "../model";
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
