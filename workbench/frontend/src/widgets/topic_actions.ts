/** What can be done with topics and projects; failures and undo are told by messages. */

import type { Deletion, ProjectRow, TopicRow } from "../protocol";
import type { Store } from "../store";
import { t } from "../texts_topics";
import { attempt } from "../ui/attempt";

/** A new topic, opened at once, ready to be written in. */
export async function createTopic(store: Store, projectId: string | null): Promise<void> {
  await attempt(store, async () => {
    const args = projectId === null ? {} : { project_id: projectId };
    const { topic } = await store.call<{ topic: TopicRow }>("topic.create", args);
    store.desk.openTopic(topic.id);
  });
}

export function renameTopic(store: Store, topic: TopicRow, title: string): Promise<boolean> {
  return attempt(store, () => store.call("topic.update", { id: topic.id, title }));
}

export function moveTopic(store: Store, topic: TopicRow, project: ProjectRow): Promise<boolean> {
  const before = topic.project_id;
  return attempt(store, async () => {
    await store.call("topic.update", { id: topic.id, project_id: project.id });
    store.undoable(t("topics.moved", { project: project.title }), async () => {
      await store.call("topic.update", { id: topic.id, project_id: before });
    });
  });
}

export function deleteTopic(store: Store, topic: TopicRow): Promise<boolean> {
  const wasOpen = store.desk.topicId.peek() === topic.id;
  return attempt(store, async () => {
    await store.call("delete", { entity: "topic", id: topic.id });
    store.undoable(t("topics.deleted", { title: topic.title || t("topics.untitled") }), async () => {
      await store.call("restore", { entity: "topic", id: topic.id });
      if (wasOpen) store.desk.openTopic(topic.id);
    });
  });
}

/** How long the trash keeps what is deleted now. */
export const trashDays = (store: Store): number => store.hello.peek()!.workspace.trash_days;

/** What a topic's deletion takes, in sentences. */
export async function deletionText(store: Store, topic: TopicRow): Promise<string> {
  const { images, active } = await store.call<Deletion>("deletion", { topic_id: topic.id });
  const days = trashDays(store);
  const first = images > 0 ? t("topics.delete_text", { count: images, days }) : t("topics.delete_none", { days });
  return active > 0 ? `${first} ${t("topics.delete_active", { count: active })}` : first;
}

export async function createProject(store: Store, title: string): Promise<ProjectRow | null> {
  let made: ProjectRow | null = null;
  await attempt(store, async () => {
    made = (await store.call<{ project: ProjectRow }>("project.create", { title })).project;
  });
  return made;
}

export function renameProject(store: Store, project: ProjectRow, title: string): Promise<boolean> {
  return attempt(store, () => store.call("project.update", { id: project.id, title }));
}

export function deleteProject(store: Store, project: ProjectRow): Promise<boolean> {
  return attempt(store, async () => {
    await store.call("delete", { entity: "project", id: project.id });
    store.undoable(t("projects.deleted", { title: project.title }), async () => {
      await store.call("restore", { entity: "project", id: project.id });
    });
  });
}
