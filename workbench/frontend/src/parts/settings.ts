/** The part with what a request is made of: settings, prompt, references. */

import fields from "../ui/fields.css";
import configPanel from "../widgets/config_panel.css";
import promptBox from "../widgets/prompt_box.css";

export { ConfigForm } from "../widgets/config_form";
export { PromptForm } from "../widgets/prompt_form";
export { referencesOf } from "../widgets/references";
export { ReferencesField } from "../widgets/references_field";
export const styles = [fields, configPanel, promptBox];
