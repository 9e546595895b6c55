/** A fault in one item shows an error row in its place; the rest of the feed goes on. */

import { Component, type ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";

import { reasonOf } from "../errors";
import { feedText } from "../texts_feed";

interface Props {
  children: ComponentChildren;
  /** Another value gives the item another chance. */
  chance?: unknown;
  /** Reads the signal of its row, where nobody above does: a change gives another chance, too. */
  watch?: () => unknown;
  class?: string;
  role: "listitem" | "group" | "article";
}

export class Guard extends Component<Props, { reason: string }> {
  override state = { reason: "" };

  override componentDidCatch(error: unknown): void {
    console.error("image-workbench: an item could not be shown", error);
    this.setState({ reason: reasonOf(error) });
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
        {this.props.watch ? (
          <Watch read={this.props.watch} onChange={() => this.setState({ reason: "" })} />
        ) : null}
      </div>
    );
  }
}

function Watch({ read, onChange }: { read: () => unknown; onChange: () => void }) {
  const value = read();
  const broken = useRef(value);
  useEffect(() => {
    if (value !== broken.current) onChange();
  }, [value]);
  return null;
}
