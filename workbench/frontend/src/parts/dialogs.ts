/** The part with the dialogs: providers, spending, shortcuts. */

import dialogs from "../widgets/dialogs.css";
import providers from "../widgets/providers.css";

export { ProvidersDialog } from "../widgets/providers_dialog";
export { Shortcuts } from "../widgets/shortcuts";
export { SpendDialog } from "../widgets/spend_dialog";
export const styles = [providers, dialogs];
