/** The words of the list of topics, by key; filled in as those of texts.ts. */

import { LANGUAGE, type TextKey as RootKey, wordsOf } from "./texts";

export const TOPICS_TEXTS = {
  "topics.empty": "no images",
  "topics.none_title": "No topics yet",
  "topics.none_hint": "The first prompt makes one.",
  "topics.actions": "Actions for {title}",
  "topics.rename": "Rename",
  "topics.move": "Move to project",
  "topics.delete": "Delete",
  "topics.delete_title": "Delete “{title}”?",
  "topics.delete_text": "{count|1 image goes|{count} images go} to the trash for {days|1 day|{days} days}.",
  "topics.delete_none": "It has no images. It stays in the trash for {days|1 day|{days} days}.",
  "topics.delete_active": "{count|1 image that is still being made is|{count} images that are still being made are} cancelled.",
  "topics.trash": "Trash…",
  "topics.some": "Showing the latest {shown} of {total} topics.",
  "topics.older": "Show older",
  "topics.deleted": "Topic “{title}” deleted",
  "cancel.topic": "Cancel what is running ({count})",
  "cancel.topic_title": "Cancel what is running in “{title}”?",
  "cancel.everything": "Cancel everything that is running ({count})",
  "cancel.everything_title": "Cancel everything, in all topics?",
  "cancel.text": "{count|1 image that waits or is being made is|{count} images that wait or are being made are} cancelled; finished ones stay. This cannot be undone, but an image can be tried again.",
  "cancel.charged": "What a provider has begun may still be charged; if its picture comes, it is kept.",
  "cancel.act": "Cancel {count|1 image|{count} images}",
  "cancel.leave": "Let {count|it|them} go on",
  "cancel.done": "{count|1 image|{count} images} cancelled",
  "cancel.none": "All of it had ended already",
  "topics.moved": "Moved to {project}",
  "topics.shared": "shared",
  "projects.new": "New project",
  "projects.new_item": "New project…",
  "projects.name": "Name of the project",
  "projects.actions": "Actions for project {title}",
  "projects.rename": "Rename project",
  "projects.delete": "Delete project",
  "projects.delete_title": "Delete project “{title}”?",
  "projects.delete_text": "{count|Its topic goes|Its {count} topics go} to the trash for {days|1 day|{days} days}.",
  "projects.delete_empty": "It has no topics.",
  "projects.deleted": "Project “{title}” deleted",
  "projects.add_topic": "New topic in {title}",
  "time.now": "now",
  "time.minutes": "{count} min",
  "time.hours": "{count} h",
  "time.yesterday": "yesterday",
} as const;

export type TextKey = RootKey | keyof typeof TOPICS_TEXTS;
export const t = wordsOf(TOPICS_TEXTS);

/** "now", "4 min", "2 h", "yesterday", "Tue", "12 Nov", "12 Nov 2025": for lists, where room is short. */
export function briefly(then: number, now: number): string {
  const seconds = Math.max(0, (now - then) / 1000);
  if (seconds < 60) return t("time.now");
  if (seconds < 3600) return t("time.minutes", { count: Math.floor(seconds / 60) });
  const day = (time: number): number => new Date(time).setHours(0, 0, 0, 0);
  const days = Math.round((day(now) - day(then)) / 86_400_000);
  if (days === 0 || seconds < 6 * 3600) return t("time.hours", { count: Math.floor(seconds / 3600) });
  if (days === 1) return t("time.yesterday");
  const shape: Intl.DateTimeFormatOptions =
    days < 7
      ? { weekday: "short" }
      : new Date(then).getFullYear() === new Date(now).getFullYear()
        ? { day: "numeric", month: "short" }
        : { day: "numeric", month: "short", year: "numeric" };
  return new Date(then).toLocaleDateString(`${LANGUAGE}-GB`, shape);
}
