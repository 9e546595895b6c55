/** The line above the feed: is it live, which topic, how many images, refresh, pause, tokens. */

import { useComputed, useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";

import { makingIn } from "../making";
import type { Store } from "../store";
import { t, type TextKey } from "../texts";
import { IconButton } from "../ui/button";
import { MenuButton, type MenuEntry } from "../ui/menu";
import { InlineName } from "../ui/inline_name";
import { attempt } from "../ui/attempt";
import { tip } from "../ui/tooltip";
import { inVoila } from "../visitor";
import { useUnfold } from "./temporary_fold";
import { TokenChip } from "./token_balance";

interface HeaderProps {
  store: Store;
  /** Of the page: takes the place of the topic's where there is none. */
  title?: string | undefined;
  /** Without a panel there is no button for it. */
  settings: { open: boolean; toggle(): void } | null;
  topics: { open: boolean; toggle(): void } | null;
  onShortcuts(): void;
}

export function Header({ store, title, settings, topics, onShortcuts }: HeaderProps) {
  const { paused } = store.queue.value;
  const refreshing = useSignal(false);
  const refresh = async (): Promise<void> => {
    // Not disabled meanwhile: it would lose the focus, and the next key were the notebook's.
    if (refreshing.value) return;
    refreshing.value = true;
    const well = await attempt(store, () => store.feed.refresh());
    refreshing.value = false;
    if (well) store.toast(t("header.refreshed"), "success");
  };
  const pause = (): void => void attempt(store, () => store.call(paused ? "resume" : "pause"));
  const unfold = useUnfold(store);
  const more = (): MenuEntry[] => [
    ...(unfold ? [{ label: t("temporary.unfold"), icon: "disk" as const, act: unfold }] : []),
    { label: t("header.refresh"), icon: "refresh", act: () => void refresh() },
    { label: t(paused ? "header.resume" : "header.pause"), icon: paused ? "play" : "pause", act: pause },
    { label: t("header.shortcuts"), icon: "keyboard", shortcut: "?", act: onShortcuts },
  ];
  return (
    <header class="wbx-header">
      {settings ? (
        <IconButton
          icon="sliders"
          label={t("header.settings")}
          expanded={settings.open}
          testid="open-config"
          onClick={settings.toggle}
        />
      ) : null}
      <LiveLight store={store} />
      <Title store={store} page={title} />
      <div class="wbx-header-tools">
        <IconButton
          class={refreshing.value ? "wbx-roomy-only wbx-turning" : "wbx-roomy-only"}
          icon="refresh"
          label={t("header.refresh")}
          testid="refresh"
          disabled={store.link.value === "dead"}
          onClick={() => void refresh()}
        />
        <IconButton
          class="wbx-roomy-only"
          icon={paused ? "play" : "pause"}
          label={t(paused ? "header.resume" : "header.pause")}
          pressed={paused}
          testid="pause"
          disabled={store.link.value === "dead"}
          onClick={pause}
        />
        <IconButton
          class="wbx-roomy-only"
          icon="keyboard"
          label={t("header.shortcuts")}
          shortcut="?"
          testid="shortcuts"
          onClick={onShortcuts}
        />
        {unfold ? <IconButton class="wbx-roomy-only" icon="disk" label={t("temporary.unfold")} testid="temporary-unfold" onClick={unfold} /> : null}
        <TokenChip store={store} />
        <MenuButton class="wbx-icon-button wbx-tight-only" label={t("header.more")} testid="header-more" items={more} />
        {topics ? (
          <IconButton
            icon="list"
            label={t("header.topics")}
            expanded={topics.open}
            testid="open-topics"
            onClick={topics.toggle}
          />
        ) : null}
      </div>
    </header>
  );
}

/** Green only while events really flow. */
export function LiveLight({ store }: { store: Store }) {
  const link = store.failure.value === null ? store.link.value : "dead";
  // "dead" is what a person reads; for whoever looks at the light alone it is offline.
  const state = link === "dead" ? "offline" : link;
  const said = link === "dead" && inVoila() ? t("ended.title") : t(`live.${link}_tip` as TextKey);
  return (
    <span
      class="wbx-live"
      data-testid="live"
      data-state={state}
      data-link={link}
      role="img"
      aria-label={said}
      {...tip(said)}
    >
      <span class="wbx-live-dot" />
      <span class="wbx-live-word">{t(`live.${link}` as TextKey)}</span>
    </span>
  );
}

function Title({ store, page }: { store: Store; page: string | undefined }) {
  /** The topic whose title is being changed. */
  const editing = useSignal("");
  const button = useRef<HTMLButtonElement>(null);
  const id = store.desk.topicId.value;
  const making = useComputed(() => makingIn(store, store.desk.topicId.value ?? "")).value;
  const topic = store.topics.value.find((one) => one.id === id);
  if (store.failure.value !== null) return null;
  if (store.hello.value === null) return <span class="wbx-skel" style={{ width: "148px", height: "16px" }} />;
  if (topic === undefined) return <h2 class="wbx-title" data-quiet={page ? undefined : ""}>{page ?? t("header.no_topic")}</h2>;
  if (editing.value === topic.id) {
    return (
      <InlineName
        key={topic.id}
        class="wbx-title-input"
        label={t("topics.name")}
        name={topic.title}
        onEnd={(title) => {
          editing.value = "";
          requestAnimationFrame(() => button.current?.focus({ preventScroll: true }));
          if (title) void attempt(store, () => store.call("topic.update", { id: topic.id, title }));
        }}
      />
    );
  }
  const edit = (): void => {
    if (topic.mine) editing.value = topic.id;
  };
  return (
    <>
      <h2 class="wbx-title" dir="auto" onDblClick={edit}>
        {topic.mine ? (
          <button
            ref={button}
            type="button"
            class="wbx-title-button"
            data-testid="topic-title"
            aria-label={`${topic.title || t("topics.untitled")}. ${t("header.rename")}`}
            onClick={(event) => {
              // By keyboard a press renames; with the mouse it takes two clicks, or one is a slip.
              if (event.detail === 0) edit();
            }}
            {...tip(t("header.title_tip"), "⏎")}
          >
            {topic.title || t("topics.untitled")}
          </button>
        ) : (
          topic.title || t("topics.untitled")
        )}
      </h2>
      <span class="wbx-count" data-testid="image-count">
        {(topic.images === 0 && making) || t("header.images", { count: topic.images })}
      </span>
    </>
  );
}
