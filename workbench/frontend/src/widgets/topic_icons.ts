/** Icons of the list of topics. */

import add from "lucide/dist/esm/icons/folder-plus.mjs";
import move from "lucide/dist/esm/icons/folder-input.mjs";
import folder from "lucide/dist/esm/icons/folder.mjs";
import pencil from "lucide/dist/esm/icons/pencil.mjs";

import { addIcons } from "../ui/icons";

export const TOPIC_ICONS = { folder, folder_move: move, folder_new: add, pencil } as const;

addIcons(TOPIC_ICONS);
