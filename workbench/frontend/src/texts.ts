/** The words of the interface, by key (those of feed and lightbox are in texts_feed.ts).
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
  save: "Save",
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
  temporary: "Storage here is temporary: download what you want to keep.",
  "temporary.save": "Download all",
  "temporary.packing": "Packing your images…",
  "temporary.saving": "Downloading your images: {percent} %",
  "temporary.saved": "All images downloaded",
  "temporary.fold": "Fold away",
  "temporary.unfold": "Temporary storage",
  reload: "Reload",
  "ended.title": "This session has ended",
  "ended.text": "Your pictures are kept, and those on their way will be finished.",

  // -- header
  "main.label": "Images",
  "header.images": "{count|1 image|{count} images}",
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
  "balance.none": "no balance",
  "spend.title": "Spending",
  "spend.left": "{amount} left",
  "spend.in_all": "{amount} in all",
  "spend.no_balance": "Nothing was booked yet.",
  "spend.period": "Period",
  "spend.today": "Today",
  "spend.month": "30 days",
  "spend.by": "By what",
  "spend.by_day": "Day",
  "spend.by_provider": "Provider",
  "spend.by_model": "Model",
  "spend.by_topic": "Topic",
  "spend.images": "Images",
  "spend.spent": "Spent",
  "spend.none": "Nothing was spent in this time.",
  "spend.deleted": "deleted",
  "spend.more": "{count|1 more, smaller|{count} more, smaller}",
  "spend.cap_user": "Your limit",
  "spend.cap_everybody": "Everybody together",
  "spend.cap_topic": "Topic “{title}”",
  "spend.cap_day": "{spent} of {limit} today",
  "spend.cap_total": "{spent} of {limit} in all",
  "spend.python": "In Python:",
  "amount.token": "{count|{text} token|{text} tokens}",
  "amount.free": "free",
  "amount.about": "about {amount}",
  "amount.billed": "billed by the provider",
  "amount.spent": "{amount} spent",

  // -- configuration
  "config.label": "Settings",
  "config.model": "Model",
  "config.no_models": "No model can be used here yet.",
  "config.missing": "{name} is not available",
  "config.missing_model": "not available here",
  "config.size": "Size",
  "config.ratio": "Aspect ratio",
  "config.ratio_option": "{ratio}, {width} by {height}",
  "config.width": "Width",
  "config.height": "Height",
  "config.lock": "Keep the aspect ratio",
  "config.images": "Images",
  "config.seed": "Seed",
  "config.seed_random": "random for each",
  "config.seed_dice": "Draw a seed",
  "config.seed_clear": "Random for each image",
  "config.seed_help": "Empty: a fresh random seed for every image. A seed s means s, s+1, … for the images of the batch.",
  "config.advanced": "Advanced",
  "config.dropped": "{model} does not take {names}: not kept.",
  "providers.title": "Providers",
  "providers.more": "{count|1 more provider|{count} more providers}…",
  "providers.intro": "Who makes your images. What a hosted provider makes is billed to the account of your key.",
  "providers.models": "{count|1 model|{count} models}",
  "providers.ready": "ready · {models}",
  "providers.key_missing": "needs a key",
  "providers.package_missing": "needs a package",
  "providers.unreachable": "not reachable",
  "providers.error": "not usable",
  "providers.key": "Key",
  "providers.key_none": "not set",
  "providers.key_keyring": "in your keyring",
  "providers.key_file": "in a file that only you can read",
  "providers.key_code": "set in the code",
  "providers.key_variable": "from {name}",
  "providers.key_paste": "Paste your key",
  "providers.key_replace": "Paste another key",
  "providers.key_save": "Save",
  "providers.key_forget": "Remove",
  "providers.key_kept": "The key is saved.",
  "providers.key_gone": "The key is removed.",
  "providers.address": "Address",
  "providers.address_usual": "as it came",
  "providers.jobs": "Jobs at once",
  "providers.save": "Save",
  "providers.saved": "Saved.",
  "providers.test": "Test the connection",
  "providers.testing": "Asking…",
  "providers.refresh": "Refresh models",
  "references.title": "References",
  "references.count": "{count} of {most}",
  "references.add": "Add reference images",
  "references.hint": "Choose, drop or paste images",
  "references.remove": "Remove reference {index}: {name}",
  "references.uploading": "Reference {index} is being uploaded: {name}. Press to stop",
  "references.added": "Added as a reference",
  "references.pasted": "pasted image",
  "references.no_image": "{name} is no image.",
  "references.full": "{count|This model takes 1 reference|This model takes {count} references} at most.",
  "references.wait": "A reference is still being uploaded. Try again in a moment.",
  "config.reset": "Back to {value}",
  "config.on": "on",
  "config.off": "off",
  "config.collapse": "Hide settings",
  "config.expand": "Show settings",
  "config.resize": "Width of the settings",
  "config.other": "as before ({value})",

  "field.number": "Enter a number.",
  "field.whole": "Enter a whole number.",
  "field.small": "The smallest is {limit}.",
  "field.large": "The largest is {limit}.",
  "field.step": "Must be a multiple of {step}: {low} or {high}.",
  "field.seed": "Enter a whole number, or nothing for random.",
  "field.json": "This is no JSON yet.",
  "field.long": "At most {limit} characters.",
  "field.help": "About {name}",
  "field.fix": "{name}: {problem}",

  // -- prompt box
  "prompt.label": "Prompt",
  "prompt.placeholder": "Describe an image…",
  "prompt.generate": "Generate",
  "prompt.count": "{length} / {limit}",
  "prompt.too_long": "{count|1 character too long|{count} characters too long}",
  "prompt.negative": "Negative prompt",
  "prompt.negative_placeholder": "What should not be in it…",
  "prompt.negative_add": "Negative prompt: what should not be in the image",
  "prompt.estimate_images": "{count|1 image|{count} images}",
  "prompt.about": "about {time}",
  "prompt.short_of": "balance {amount}",
  "prompt.left_today": "{count|1 image|{count} images} left today",
  "prompt.none_left": "No images left today; new ones at {time}",
  "prompt.too_little": "The balance is not enough for this.",
  "prompt.history": "Earlier prompt {index} of {count}",

  // -- topics
  "topics.title": "Topics",
  "topics.new": "New topic",
  "topics.list": "Topics, latest first",
  "topics.untitled": "Untitled",
  "topics.empty": "empty",
  "topics.none_title": "No topics yet",
  "topics.none_hint": "The first prompt makes one.",
  "topics.actions": "Actions for {title}",
  "topics.rename": "Rename",
  "topics.name": "Name of the topic",
  "topics.move": "Move to project",
  "topics.delete": "Delete",
  "topics.delete_title": "Delete “{title}”?",
  "topics.delete_text": "{count|1 image goes|{count} images go} to the trash for 30 days.",
  "topics.delete_none": "It has no images. It stays in the trash for 30 days.",
  "topics.delete_active": "{count|1 image that is still being made is|{count} images that are still being made are} cancelled.",
  "topics.deleted": "Topic “{title}” deleted",
  "topics.moved": "Moved to {project}",
  "topics.collapse": "Hide topics",
  "topics.expand": "Show topics",
  "topics.resize": "Width of the topics",
  "topics.shared": "shared",
  "projects.new": "New project",
  "projects.new_item": "New project…",
  "projects.name": "Name of the project",
  "projects.create": "Create",
  "projects.actions": "Actions for project {title}",
  "projects.rename": "Rename project",
  "projects.delete": "Delete project",
  "projects.delete_title": "Delete project “{title}”?",
  "projects.delete_text": "{count|Its topic goes|Its {count} topics go} to the trash for 30 days.",
  "projects.delete_empty": "It has no topics.",
  "projects.deleted": "Project “{title}” deleted",
  "projects.keep_open": "Show or hide the topics of {title}",
  "projects.add_topic": "New topic in {title}",

  // -- shortcuts
  "keys.title": "Keyboard shortcuts",
  "keys.generate": "Generate",
  "keys.history": "Earlier prompts (in an empty prompt box)",
  "keys.cards": "Walk through the images",
  "keys.open": "Open the image",
  "keys.select": "Select the image",
  "keys.favourite": "Favourite",
  "keys.rate": "Rate",
  "keys.delete": "Delete (can be undone)",
  "keys.undo": "Undo what a message just told",
  "keys.walk": "Next and previous image (viewer)",
  "keys.zoom": "Zoom (viewer)",
  "keys.download": "Download (viewer)",
  "keys.rename": "Rename the topic (in the list)",
  "keys.close": "Close whatever is open",
  "keys.help": "This list",

  // -- times
  "time.now": "now",
  "time.minutes": "{count} min",
  "time.hours": "{count} h",
  "time.yesterday": "yesterday",
} as const;

export type TextKey = keyof typeof TEXTS;

const plurals = new Intl.PluralRules(LANGUAGE);
const whole = new Intl.NumberFormat(LANGUAGE, { maximumFractionDigits: 2 });

/** The text for a key. Without a number for `{count|…}` the last form is taken. */
export function t(key: TextKey, values: Record<string, string | number> = {}): string {
  return fill(TEXTS[key], values);
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

/** "6 s", "3 min", "1 h 20 min": for estimates, so no more exact than those are. */
export function roughly(seconds: number): string {
  if (seconds < 1) return "1 s";
  if (seconds < 90) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const rest = minutes % 60;
  return rest ? `${Math.floor(minutes / 60)} h ${rest} min` : `${minutes / 60} h`;
}

/** "01:00", by the clock of this computer. */
export function clockTime(time: number): string {
  return new Date(time).toLocaleTimeString(`${LANGUAGE}-GB`, { hour: "2-digit", minute: "2-digit" });
}

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

/** Whether the keys of this computer are Apple's. */
export const APPLE = /Mac|iP(hone|ad|od)/.test(globalThis.navigator?.platform ?? "");
export const SUBMIT_KEYS = APPLE ? "⌘ ⏎" : "Ctrl ⏎";
