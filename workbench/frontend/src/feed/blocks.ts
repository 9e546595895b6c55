/** The feed as one list of blocks, Active first, then History. One list, so that a batch that moves
 *  from one section to the other keeps its element. */

export type Section = "active" | "history";

export interface Block {
  key: string;
  id: string;
  section: Section;
  /** Carries the heading of its section. */
  lead: boolean;
}

/** @param keyOf a name that outlives the change from the optimistic row to the real one.
 *  @param newest whether `history` begins with the newest; else it has no heading of its own. */
export function blocksOf(
  active: readonly string[],
  history: readonly string[],
  keyOf: (id: string) => string,
  newest = true,
): Block[] {
  const blocks: Block[] = [];
  const ids = new Set<string>();
  const keys = new Set<string>();
  const add = (list: readonly string[], section: Section, headed: boolean): void => {
    let lead = headed;
    for (const id of list) {
      if (ids.has(id)) continue;
      let key = keyOf(id);
      if (keys.has(key)) key = id;
      ids.add(id);
      keys.add(key);
      blocks.push({ key, id, section, lead });
      lead = false;
    }
  };
  add(active, "active", true);
  add(history, "history", newest || active.length > 0);
  return blocks;
}

/** Blocks that changed their section, and so their place among the others. */
export function movedBetween(before: readonly Block[], after: readonly Block[]): Set<string> {
  const sections = new Map(before.map((block) => [block.key, block.section]));
  const moved = new Set<string>();
  for (const block of after) {
    const section = sections.get(block.key);
    if (section !== undefined && section !== block.section) moved.add(block.key);
  }
  return moved;
}
