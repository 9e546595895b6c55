/** The words of settings, prompt and references, by key; filled in as those of texts.ts. */

import { LANGUAGE, type TextKey as RootKey, wordsOf } from "./texts";

export const SETTINGS_TEXTS = {
  "amount.about": "about {amount}",
  "amount.billed": "billed by the provider",
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
  "config.fewer": "One image fewer",
  "config.more": "One image more (this model: up to {count})",
  "config.seed_random": "random for each",
  "config.seed_dice": "Draw a seed",
  "config.seed_clear": "Random for each image",
  "config.seed_help": "Empty: a fresh random seed for every image. A seed s means s, s+1, … for the images of the batch.",
  "config.advanced": "Advanced",
  "config.dropped": "{model} does not take {names}: not kept.",
  "providers.set_up": "Set up {name}…",
  "providers.more": "{count|1 more provider|{count} more providers}…",
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
  "prompt.label": "Prompt",
  "prompt.placeholder": "Describe an image…",
  "prompt.generate": "Generate",
  "prompt.count": "{length} / {limit}",
  "prompt.too_long": "{count|1 character too long|{count} characters too long}",
  "prompt.negative_placeholder": "What should not be in it…",
  "prompt.negative_add": "Negative prompt: what should not be in the image",
  "prompt.estimate_images": "{count|1 image|{count} images}",
  "prompt.about": "about {time}",
  "prompt.short_of": "balance {amount}",
  "prompt.left_today": "{count|1 image|{count} images} left today",
  "prompt.none_left": "No images left today; new ones at {time}",
  "prompt.too_little": "The balance is not enough for this.",
  "prompt.history": "Earlier prompt {index} of {count}",
  "time.seconds": "{count} s",
  "time.minutes": "{count} min",
  "time.hours": "{count} h",
  "time.hours_minutes": "{hours} h {minutes} min",
} as const;

export type TextKey = RootKey | keyof typeof SETTINGS_TEXTS;
export const t = wordsOf(SETTINGS_TEXTS);

/** "6 s", "3 min", "1 h 20 min": for estimates, so no more exact than those are. */
export function roughly(seconds: number): string {
  if (seconds < 90) return t("time.seconds", { count: Math.max(1, Math.round(seconds)) });
  const all = Math.round(seconds / 60);
  if (all < 60) return t("time.minutes", { count: all });
  const [hours, minutes] = [Math.floor(all / 60), all % 60];
  return minutes ? t("time.hours_minutes", { hours, minutes }) : t("time.hours", { count: hours });
}

/** "01:00", by the clock of this computer. */
export function clockTime(time: number): string {
  return new Date(time).toLocaleTimeString(`${LANGUAGE}-GB`, { hour: "2-digit", minute: "2-digit" });
}
