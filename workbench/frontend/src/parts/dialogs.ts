/** The part with the dialogs: providers, spending, trash, shortcuts. */

import dialogs from "../widgets/dialogs.css";
import providers from "../widgets/providers.css";
import trash from "../widgets/trash.css";

export { ProvidersDialog } from "../widgets/providers_dialog";
export { Shortcuts } from "../widgets/shortcuts";
export { SpendDialog } from "../widgets/spend_dialog";
export { TrashDialog } from "../widgets/trash_dialog";
export const styles = [providers, dialogs, trash];
