/** The topics, by project, latest first: open, make, rename, move, delete. */

import { type Signal, useComputed, useSignal } from "@preact/signals";
import type { TargetedKeyboardEvent } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";

import { makingIn } from "../making";
import { useCover } from "../pictures";
import type { ProjectRow, TopicRow } from "../protocol";
import type { Store } from "../store";
import { briefly, t } from "../texts_topics";
import { attempt } from "../ui/attempt";
import { Confirm } from "../ui/dialog";
import { Icon } from "../ui/icons";
import { InlineName } from "../ui/inline_name";
import { MenuButton, type MenuEntry } from "../ui/menu";
import {
  createProject,
  createTopic,
  deleteProject,
  deleteTopic,
  deletionText,
  moveTopic,
  renameProject,
  renameTopic,
  trashDays,
} from "./topic_actions";
import { TrashDialog } from "./late_dialogs";
import { cancelAll, type Cancelling, cancelItem, cancelQuestion } from "./topic_cancel";
import { OlderTopics } from "./older_topics";
import "./topic_icons";
import { type TopicsProps, TopicsSkeleton } from "./topics_sidebar";

/** What the panel is in the middle of. */
type Doing =
  | { kind: "rename-topic" | "rename-project"; id: string }
  | { kind: "new-project"; topic: TopicRow | null }
  | { kind: "trash" }
  | { kind: "cancel"; what: Cancelling }
  | { kind: "delete-topic"; topic: TopicRow; text: string }
  | { kind: "delete-project"; project: ProjectRow; text: string }
  | null;

interface Common {
  store: Store;
  doing: Signal<Doing>;
  onOpen: () => void;
}

interface Group {
  project: ProjectRow | null;
  topics: TopicRow[];
}

export function TopicsPanel({ store, simple, onOpen = () => undefined, fold }: TopicsProps) {
  const doing = useSignal<Doing>(null);
  const failed = store.failure.value !== null;
  const loading = store.hello.value === null && !failed;
  const groups = useComputed(() => groupsOf(store.topics.value, store.projects.value)).value;
  const common: Common = { store, doing, onOpen };
  const dead = store.link.value === "dead";
  const more = (): MenuEntry[] => [
    ...(simple ? [] : [{ label: t("projects.new_item"), icon: "folder_new" as const, act: () => (doing.value = { kind: "new-project", topic: null }) }, "separator" as const]),
    cancelItem(store, null, (what) => (doing.value = { kind: "cancel", what })),
    "separator",
    { label: t("topics.trash"), icon: "trash", testid: "open-trash", act: () => (doing.value = { kind: "trash" }) },
  ];
  const opener = useRef<HTMLButtonElement>(null);
  const create = (): void => {
    void createTopic(store, activeProject(store)).then(() => {
      onOpen();
      // What comes next is its first prompt, which names it; a space would press the button again.
      const { activeElement } = document;
      if (activeElement !== opener.current && activeElement !== document.body) return;
      opener.current?.closest(".wbx")?.querySelector<HTMLElement>(".wbx-ask-text")?.focus({ preventScroll: true });
    });
  };
  return (
    <nav class="wbx-topics" aria-label={t("topics.title")}>
      <header class="wbx-panel-head">
        <h2 class="wbx-panel-title">{t("topics.title")}</h2>
        <MenuButton class="wbx-icon-button wbx-faint" label={t("header.more")} items={more} testid="topics-more" />
        {fold ?? null}
      </header>
      <div class="wbx-topics-new">
        <button ref={opener} type="button" class="wbx-new-topic" data-testid="new-topic" disabled={loading || failed || dead} onClick={create}>
          <Icon name="plus" />
          {t("topics.new")}
        </button>
      </div>
      {doing.value?.kind === "new-project" ? <NewProject {...common} topic={doing.value.topic} /> : null}
      <div class="wbx-topics-scroll" role="group" aria-label={t("topics.list")} aria-busy={loading}>
        {loading ? <TopicsSkeleton /> : groups.map((group) => <GroupOf key={group.project?.id ?? ""} {...common} group={group} simple={simple} />)}
        {!loading && !failed && store.topics.value.length === 0 ? (
          <div class="wbx-topics-none">
            <Icon name="layers" size={20} />
            <p>{t("topics.none_title")}</p>
            <p>{t("topics.none_hint")}</p>
          </div>
        ) : null}
        <OlderTopics store={store} />
      </div>
      <Asking {...common} />
      {doing.value?.kind === "trash" ? <TrashDialog store={store} onClose={() => (doing.value = null)} /> : null}
    </nav>
  );
}

/** New topics belong to the project of the open one. */
function activeProject(store: Store): string | null {
  const id = store.desk.topicId.peek();
  return store.topics.peek().find((topic) => topic.id === id)?.project_id ?? null;
}

/** One group without a header as long as there is one project only. */
function groupsOf(topics: readonly TopicRow[], projects: readonly ProjectRow[]): Group[] {
  if (projects.length < 2) return [{ project: null, topics: [...topics] }];
  const groups = new Map<string, Group>(projects.map((project) => [project.id, { project, topics: [] }]));
  const strays: TopicRow[] = [];
  for (const topic of topics) (groups.get(topic.project_id)?.topics ?? strays).push(topic);
  const filled = [...groups.values()];
  // The project with the latest activity first; empty ones at the end.
  const latest = (group: Group): number => group.topics[0]?.updated_at ?? 0;
  filled.sort((a, b) => latest(b) - latest(a));
  return strays.length > 0 ? [...filled, { project: null, topics: strays }] : filled;
}

function GroupOf({ store, doing, onOpen, group, simple }: Common & { group: Group; simple: boolean }) {
  const { project, topics } = group;
  const folded = useSignal(false);
  return (
    <section class="wbx-topic-group" aria-label={project?.title}>
      {project === null ? null : doing.value?.kind === "rename-project" && doing.value.id === project.id ? (
        <InlineName
          label={t("projects.name")}
          name={project.title}
          onEnd={(title) => {
            doing.value = null;
            if (title) void renameProject(store, project, title);
          }}
        />
      ) : (
        <ProjectHead store={store} doing={doing} onOpen={onOpen} project={project} topics={topics} folded={folded} simple={simple} />
      )}
      {folded.value ? null : (
        <ul class="wbx-topic-list">
          {topics.map((topic) => <Topic key={topic.id} store={store} doing={doing} onOpen={onOpen} topic={topic} simple={simple} />)}
        </ul>
      )}
    </section>
  );
}

function ProjectHead({
  store, doing, onOpen, project, topics, folded, simple,
}: Common & { project: ProjectRow; topics: TopicRow[]; folded: Signal<boolean>; simple: boolean }) {
  const items = (): MenuEntry[] => [
    { label: t("projects.add_topic", { title: project.title }), icon: "plus", act: () => void createTopic(store, project.id).then(onOpen) },
    { label: t("projects.rename"), icon: "pencil", act: () => (doing.value = { kind: "rename-project", id: project.id }) },
    "separator",
    {
      label: t("projects.delete"),
      icon: "trash",
      danger: true,
      act: () => {
        const text = topics.length > 0 ? t("projects.delete_text", { count: topics.length, days: trashDays(store) }) : t("projects.delete_empty");
        doing.value = { kind: "delete-project", project, text };
      },
    },
  ];
  return (
    <header class="wbx-project">
      <button
        type="button"
        class="wbx-project-name"
        aria-expanded={!folded.value}
        onClick={() => (folded.value = !folded.value)}
      >
        <Icon name="chevron-down" size={12} />
        <span dir="auto">{project.title}</span>
      </button>
      {project.mine && !simple ? (
        <MenuButton class="wbx-icon-button wbx-on-hover" label={t("projects.actions", { title: project.title })} items={items} />
      ) : null}
    </header>
  );
}

interface TopicProps extends Common {
  topic: TopicRow;
  simple: boolean;
}

function Topic({ store, doing, onOpen, topic, simple }: TopicProps) {
  const { id } = topic;
  const active = useComputed(() => store.desk.topicId.value === id).value;
  const making = useComputed(() => makingIn(store, id)).value;
  const row = useRef<HTMLLIElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const title = topic.title || t("topics.untitled");
  useLayoutEffect(() => {
    if (active && row.current) reveal(row.current);
  }, [active]);

  const rename = (): void => {
    if (topic.mine) doing.value = { kind: "rename-topic", id };
  };
  const remove = (): void => {
    if (!topic.mine) return;
    void attempt(store, async () => {
      doing.value = { kind: "delete-topic", topic, text: await deletionText(store, topic) };
    });
  };
  const items = (): MenuEntry[] => [
    { label: t("topics.rename"), icon: "pencil", shortcut: "F2", testid: "rename-topic", act: rename },
    ...(simple ? [] : [{ label: t("topics.move"), icon: "folder_move" as const, items: () => projectItems(store, topic, doing) }]),
    cancelItem(store, topic, (what) => (doing.value = { kind: "cancel", what })),
    "separator",
    { label: t("topics.delete"), icon: "trash", shortcut: t("key.delete"), danger: true, testid: "delete-topic", act: remove },
  ];
  const keys = (event: TargetedKeyboardEvent<HTMLButtonElement>): void => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "F2") rename();
    else if (event.key === "Delete") remove();
    else if (!walk(event)) return;
    event.preventDefault();
  };
  const renaming = doing.value?.kind === "rename-topic" && doing.value.id === id;
  return (
    <li
      ref={row}
      class="wbx-topic"
      data-testid="topic"
      data-id={id}
      data-active={active ? "" : undefined}
      onDblClick={renaming ? undefined : rename}
    >
      {renaming ? (
        <>
          <Cover store={store} topic={topic} />
          <InlineName
            label={t("topics.name")}
            name={topic.title}
            onEnd={(name) => {
              doing.value = null;
              requestAnimationFrame(() => button.current?.focus({ preventScroll: true }));
              if (name) void renameTopic(store, topic, name);
            }}
          />
        </>
      ) : (
        <>
          <button
            ref={button}
            type="button"
            class="wbx-topic-open"
            aria-current={active ? "true" : undefined}
            onClick={() => {
              store.desk.openTopic(id);
              onOpen();
            }}
            onKeyDown={keys}
          >
            <Cover store={store} topic={topic} />
            <span class="wbx-topic-words">
              <span class="wbx-topic-title" dir="auto">{title}</span>
              <span class="wbx-topic-line">
                {topic.images > 0
                  ? `${topic.images} · ${briefly(topic.updated_at, store.now.value)}`
                  : making || t("topics.empty")}
                {topic.mine ? null : ` · ${t("topics.shared")}`}
              </span>
            </span>
          </button>
          {topic.mine ? (
            <MenuButton class="wbx-icon-button wbx-on-hover" label={t("topics.actions", { title })} items={items} testid="topic-menu" />
          ) : null}
        </>
      )}
    </li>
  );
}

/** Scrolls the list, and nothing around it. */
function reveal(row: HTMLElement): void {
  const list = row.closest<HTMLElement>(".wbx-topics-scroll");
  if (list === null) return;
  const [outer, inner] = [list.getBoundingClientRect(), row.getBoundingClientRect()];
  if (inner.top < outer.top) list.scrollTop += inner.top - outer.top - 8;
  else if (inner.bottom > outer.bottom) list.scrollTop += inner.bottom - outer.bottom + 8;
}

function Cover({ store, topic }: { store: Store; topic: TopicRow }) {
  const { url } = useCover(store, topic);
  return (
    <span class="wbx-cover" data-empty={topic.cover_id ? undefined : ""}>
      {url ? <img key={topic.cover_id} src={url} alt="" decoding="async" draggable={false} /> : null}
    </span>
  );
}

function projectItems(store: Store, topic: TopicRow, doing: Signal<Doing>): MenuEntry[] {
  const projects: MenuEntry[] = store.projects.peek().map((project) => ({
    label: project.title,
    icon: "folder",
    checked: project.id === topic.project_id,
    act: () => {
      if (project.id !== topic.project_id) void moveTopic(store, topic, project);
    },
  }));
  const add: MenuEntry = {
    label: t("projects.new_item"),
    icon: "folder_new",
    act: () => (doing.value = { kind: "new-project", topic }),
  };
  return [...projects, "separator", add];
}

/** Arrow keys, Home and End go from topic to topic. */
function walk(event: TargetedKeyboardEvent<HTMLElement>): boolean {
  const rows = [...(event.currentTarget.closest(".wbx-topics-scroll")?.querySelectorAll<HTMLElement>(".wbx-topic-open") ?? [])];
  const at = rows.indexOf(event.currentTarget);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1 }[event.key];
  if (to === undefined) return false;
  rows[Math.max(0, Math.min(rows.length - 1, to))]?.focus();
  return true;
}

function NewProject({ store, doing, topic }: Common & { topic: TopicRow | null }) {
  return (
    <div class="wbx-new-project">
      <Icon name="folder" />
      <InlineName
        label={t("projects.name")}
        name=""
        placeholder={t("projects.new")}
        onEnd={(title) => {
          doing.value = null;
          if (!title) return;
          void createProject(store, title).then((project) => {
            if (project && topic) void moveTopic(store, topic, project);
          });
        }}
      />
    </div>
  );
}

function Asking({ store, doing }: Common) {
  const now = doing.value;
  const place = useRef<HTMLSpanElement>(null);
  /** The row that has the focus is about to go, or gone: the open topic takes it. */
  const refocus = (id: string): void => {
    requestAnimationFrame(() => {
      const active = document.activeElement;
      if (active !== document.body && !active?.closest(`[data-id="${id}"], .wbx-project`)) return;
      const panel = place.current?.closest(".wbx-topics");
      const find = (what: string): HTMLElement | null => panel?.querySelector<HTMLElement>(what) ?? null;
      const next = find(`[data-active]:not([data-id="${id}"]) > .wbx-topic-open`) ?? find(`:not([data-id="${id}"]) > .wbx-topic-open`) ?? find(".wbx-new-topic");
      next?.focus({ preventScroll: true });
    });
  };
  const close = (): void => {
    doing.value = null;
  };
  if (now?.kind === "cancel") {
    return (
      <Confirm {...cancelQuestion(now.what)} onClose={close} onConfirm={() => void cancelAll(store, now.what.topic)} />
    );
  }
  if (now?.kind === "delete-topic") {
    return (
      <Confirm
        title={t("topics.delete_title", { title: now.topic.title || t("topics.untitled") })}
        text={now.text}
        action={t("topics.delete")}
        onClose={close}
        onConfirm={() => void deleteTopic(store, now.topic).then(() => refocus(now.topic.id))}
      />
    );
  }
  if (now?.kind !== "delete-project") return <span ref={place} hidden />;
  return (
    <Confirm
      title={t("projects.delete_title", { title: now.project.title })}
      text={now.text}
      action={t("topics.delete")}
      onClose={close}
      onConfirm={() => void deleteProject(store, now.project).then(() => refocus(now.project.id))}
    />
  );
}
