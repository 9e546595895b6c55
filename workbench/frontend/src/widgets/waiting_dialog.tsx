/** In place of a dialog whose part is not there yet. */

import type { ComponentChildren } from "preact";

import type { Store } from "../store";
import { Dialog } from "../ui/dialog";
import { noteOf, useLate } from "./banners";

const PATIENCE_MS = 1500;

interface WaitingProps {
  store: Store;
  title: string;
  children?: ComponentChildren;
  onClose(): void;
}

export function WaitingDialog({ store, title, children, onClose }: WaitingProps) {
  const long = useLate(true, PATIENCE_MS);
  return (
    <Dialog title={title} testid="waiting-dialog" onClose={onClose}>
      <span class="wbx-skel" style={{ height: "180px" }} />
      <p role="status">{long ? noteOf(store) : ""}</p>
      {children}
    </Dialog>
  );
}
