/** Icons of feed and lightbox. */

import archive from "lucide/dist/esm/icons/archive.mjs";
import up from "lucide/dist/esm/icons/arrow-up.mjs";
import clock from "lucide/dist/esm/icons/clock.mjs";
import code from "lucide/dist/esm/icons/code-xml.mjs";
import copy from "lucide/dist/esm/icons/copy.mjs";
import heart from "lucide/dist/esm/icons/heart.mjs";
import cover from "lucide/dist/esm/icons/image-up.mjs";
import fit from "lucide/dist/esm/icons/maximize.mjs";
import reuse from "lucide/dist/esm/icons/rotate-ccw.mjs";
import next from "lucide/dist/esm/icons/skip-forward.mjs";
import star from "lucide/dist/esm/icons/star.mjs";
import tag from "lucide/dist/esm/icons/tag.mjs";

import { addIcons } from "../ui/icons";

export const FEED_ICONS = {
  archive, "arrow-up": up, clock, code, copy, cover, fit, heart, next, reuse, star, tag,
} as const;

addIcons(FEED_ICONS);
