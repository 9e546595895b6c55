/** A fault in the code of a widget shows a sentence in its place, not an empty cell. */

import { Component, type ComponentChildren } from "preact";

import { reasonOf } from "../errors";
import { t } from "../texts";

export class Boundary extends Component<{ children?: ComponentChildren }, { reason: string | null }> {
  override state = { reason: null as string | null };

  override componentDidCatch(error: unknown): void {
    console.error("image-workbench: the widget could not be shown", error);
    this.setState({ reason: reasonOf(error) });
  }

  render() {
    const { reason } = this.state;
    if (reason === null) return this.props.children;
    return <Broken reason={reason} onAgain={() => this.setState({ reason: null })} />;
  }
}

export function Broken({ reason, onAgain }: { reason: string; onAgain(): void }) {
  return (
    <div class="wbx-broken" role="alert" data-testid="error">
      <p>{t("error.widget", { reason })}</p>
      <button type="button" onClick={onAgain}>
        {t("again")}
      </button>
    </div>
  );
}
