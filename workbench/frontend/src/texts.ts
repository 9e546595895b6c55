/** The words of the interface, by key: those of the root part. Those of the others are in texts_*.ts.
 *
 *  `{name}` is filled in; `{count|one|other}` chooses the form by the number.
 */

export const LANGUAGE = "en";
/** Of the language; texts that people write find theirs by themselves (dir="auto"). */
export const DIRECTION: "ltr" | "rtl" = "ltr";

export const TEXTS = {
  close: "Close",
  cancel: "Cancel",
  undo: "Undo",
  dismiss: "Dismiss",
  again: "Try again",
  toasts: "Messages",
  "menu.back": "Back",

  // -- the link to the kernel
  "live.live": "Live",
  "live.connecting": "Connecting",
  "live.offline": "Offline",
  "live.dead": "Stopped",
  "live.live_tip": "Live: changes arrive as they happen",
  "live.connecting_tip": "Connecting: catching up with what happened meanwhile",
  "live.offline_tip": "Offline: what you see may be out of date",
  "live.dead_tip": "The kernel of this widget has gone",
  connection_lost: "The connection to the kernel is interrupted. Images go on being made; this page catches up by itself.",
  browser_offline: "This computer is offline. Images go on being made; this page catches up when the network is back.",
  kernel_restarting: "The kernel is restarting. Everything is stored; run this cell again when the kernel is ready.",
  kernel_restarted: "The kernel was restarted. Nothing is lost: run this cell again to go on.",
  kernel_dead: "The kernel has stopped. Nothing is lost: start a kernel and run this cell again to go on.",
  widget_closed: "This widget was closed in Python. Run its cell again to open it.",
  waiting_kernel: "Waiting for the kernel. It may be busy with another cell.",
  "page.connection_lost": "The connection is interrupted. Images go on being made; this page catches up by itself.",
  "page.browser_offline": "You are offline. Images go on being made; this page catches up when the network is back.",
  "page.waiting": "Starting takes longer than usual. There may be many visitors just now.",
  failed_title: "The workbench could not start",
  "temporary.unfold": "Temporary storage",
  reload: "Reload",

  // -- what goes wrong between page and kernel; `.visitor`: for people who see no notebook
  "error.aborted": "This was no longer wanted.",
  "error.no_answer": "The kernel has not answered. It may be busy, and may still do this when it is free again.",
  "error.no_answer.visitor": "There has been no answer. It may still be done in a moment.",
  "error.disconnected": "The kernel is not there any more. Run the cell of this widget again.",
  "error.disconnected.visitor": "This session has ended. Reload the page to go on.",
  "error.version": "This page and the kernel are of different versions. Reload the page.",
  "error.widget_unknown": "This version of the page has no widget {name}. Reload the page.",
  "error.widget": "This widget could not be shown: {reason}",
  "error.part": "The kernel sent nothing for the part {name}.",
  "error.incomplete": "{name} came incomplete. Try again.",
  "error.no_reason": "It failed.",

  "ended.title": "This session has ended",
  "ended.text": "Your pictures are kept, and those on their way will be finished.",

  // -- header
  "main.label": "Images",
  "header.images": "{count|1 image|{count} images}",
  "header.making": "{count} on the way",
  "header.unknown": "{count} to settle",
  "header.refresh": "Refresh",
  "header.refreshed": "Up to date",
  "header.pause": "Pause the queue",
  "header.resume": "Resume the queue",
  "header.shortcuts": "Keyboard shortcuts",
  "header.settings": "Settings",
  "header.topics": "Topics",
  "header.more": "More",
  "header.rename": "Rename topic",
  "header.no_topic": "No topic",
  "header.title_tip": "Double-click to rename",
  "paused.text": "The queue is paused. What runs is finished; the rest waits.",
  "paused.act": "Resume",

  // -- token chip
  "balance.label": "Balance: {amount}",
  "balance.up": "Balance up by {amount}, now {balance}",
  "balance.down": "Balance down by {amount}, now {balance}",
  "spend.title": "Spending",
  "trash.title": "Trash",
  "amount.token": "{count|{text} token|{text} tokens}",
  "amount.free": "free",
  "amount.spent": "{amount} spent",

  // -- configuration
  "config.label": "Settings",
  "config.images": "Images",
  "config.seed": "Seed",
  "prompt.negative": "Negative prompt",
  "providers.title": "Providers",
  "config.collapse": "Hide settings",
  "config.expand": "Show settings",
  "config.resize": "Width of the settings",

  // -- topics
  "topics.title": "Topics",
  "topics.new": "New topic",
  "topics.list": "Topics, latest first",
  "topics.untitled": "Untitled",
  "topics.name": "Name of the topic",
  "topics.collapse": "Hide topics",
  "topics.expand": "Show topics",
  "topics.resize": "Width of the topics",

  // -- shortcuts
  "keys.title": "Keyboard shortcuts",
  "key.enter": "Enter",
  "key.escape": "Esc",
  "key.delete": "Del",

  // -- what stands in place of a part that is not there yet
  "feed.loading": "Loading images",
  "lightbox.label": "Image viewer",
  "lightbox.waiting": "Images open here over the whole page, from Python: lightbox.open(generation)",
  "lightbox.again": "Open the last image again",
} as const;

export type TextKey = keyof typeof TEXTS;

const plurals = new Intl.PluralRules(LANGUAGE);
const whole = new Intl.NumberFormat(LANGUAGE, { maximumFractionDigits: 2 });

/** The text for a key. Without a number for `{count|…}` the last form is taken. */
export function t(key: TextKey, values: Record<string, string | number> = {}): string {
  return fill(TEXTS[key], values);
}

/** `t` of a part that has words of its own. */
export function wordsOf<K extends string>(own: Readonly<Record<K, string>>) {
  const all: Readonly<Record<TextKey | K, string>> = { ...TEXTS, ...own };
  return (key: TextKey | K, values: Record<string, string | number> = {}): string => fill(all[key], values);
}

export function fill(text: string, values: Record<string, string | number>): string {
  const shown = (name: string): string => {
    const value = values[name];
    return typeof value === "number" ? number(value) : (value ?? `{${name}}`);
  };
  return text
    .replace(/\{(\w+)\|((?:[^{}]|\{\w+\})*)\}/g, (_, name: string, forms: string) => {
      const [one = "", other = one] = forms.split("|");
      return plurals.select(Number(values[name])) === "one" ? one : other;
    })
    .replace(/\{(\w+)\}/g, (_, name: string) => shown(name));
}

export function number(value: number): string {
  return whole.format(value);
}

/** An amount of the ledger: "8 tokens", "$0.04". */
export function amount(micro: number, unit: string): string {
  const value = micro / 1_000_000;
  if (unit === "USD") {
    const digits = value !== 0 && Math.abs(value) < 0.1 ? 4 : 2;
    const format = { style: "currency", currency: "USD", minimumFractionDigits: 2, maximumFractionDigits: digits } as const;
    return new Intl.NumberFormat(LANGUAGE, format).format(value);
  }
  const text = number(value);
  return unit === "token" ? t("amount.token", { count: Math.abs(value), text }) : `${text} ${unit}`;
}

/** Whether the keys of this computer are Apple's. */
export const APPLE = /Mac|iP(hone|ad|od)/.test(globalThis.navigator?.platform ?? "");
export const SUBMIT_KEYS = APPLE ? "⌘ ⏎" : "Ctrl ⏎";
