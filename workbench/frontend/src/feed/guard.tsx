/** A fault in one item shows an error row in its place; the rest of the feed goes on. */

import { Component, type ComponentChildren } from "preact";

import { feedText } from "../texts_feed";

interface Props {
  children: ComponentChildren;
  /** Another value gives the item another chance (its row changed). */
  chance?: unknown;
  class?: string;
  role: "listitem" | "group" | "article";
}

export class Guard extends Component<Props, { reason: string }> {
  override state = { reason: "" };

  override componentDidCatch(error: unknown): void {
    console.error("image-workbench: an item could not be shown", error);
    this.setState({ reason: error instanceof Error ? error.message : String(error) });
  }

  override componentDidUpdate(before: Props): void {
    if (before.chance !== this.props.chance && this.state.reason !== "") {
      this.setState({ reason: "" });
    }
  }

  render() {
    if (this.state.reason === "") return this.props.children;
    return (
      <div class={`wbx-broken ${this.props.class ?? ""}`} role={this.props.role} data-testid="error">
        {feedText("feed.broken", { reason: this.state.reason })}
      </div>
    );
  }
}
