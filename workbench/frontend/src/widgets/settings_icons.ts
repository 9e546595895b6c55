/** Icons of the settings and the prompt. */

import negative from "lucide/dist/esm/icons/circle-minus.mjs";
import link from "lucide/dist/esm/icons/link.mjs";
import unlink from "lucide/dist/esm/icons/unlink.mjs";

import { addIcons } from "../ui/icons";

export const SETTINGS_ICONS = { link, negative, unlink } as const;

addIcons(SETTINGS_ICONS);
