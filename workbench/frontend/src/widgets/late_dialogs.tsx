/** Dialogs that open before their part is there show that they are on their way. */

import type { Modules } from "../parts";
import type { Store } from "../store";
import { t, type TextKey } from "../texts";
import { late } from "../ui/late";
import { WaitingDialog } from "./waiting_dialog";

interface DialogProps { store: Store; onClose(): void }

function dialog<Props extends DialogProps>(
  title: TextKey,
  pick: (part: Modules["dialogs"]) => (props: Props) => preact.JSX.Element,
) {
  return late<"dialogs", Props>("dialogs", pick, ({ store, onClose }) => (
    <WaitingDialog store={store} onClose={onClose} title={t(title)} />
  ));
}

export const ProvidersDialog = dialog("providers.title", (part) => part.ProvidersDialog);
export const Shortcuts = dialog("keys.title", (part) => part.Shortcuts);
export const SpendDialog = dialog("spend.title", (part) => part.SpendDialog);
export const TrashDialog = dialog("trash.title", (part) => part.TrashDialog);
