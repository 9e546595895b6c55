/** A name being changed in its place: Enter keeps it, Escape does not, leaving keeps it; also where
 *  something else takes its place while somebody types. */

import { useLayoutEffect, useRef } from "preact/hooks";

const LIMIT = 200;

interface InlineNameProps {
  label: string;
  name: string;
  class?: string;
  placeholder?: string;
  /** null: nothing to change. */
  onEnd(name: string | null): void;
}

export function InlineName({ label, name, class: extra, placeholder, onEnd }: InlineNameProps) {
  const input = useRef<HTMLInputElement>(null);
  const ended = useRef(false);
  const end = (text: string | null): void => {
    if (ended.current) return; // Enter takes the focus away as well
    ended.current = true;
    const given = text?.trim() ?? "";
    onEnd(given === "" || given === name ? null : given);
  };
  const latest = useRef(end);
  latest.current = end;
  useLayoutEffect(() => {
    const element = input.current!;
    element.focus();
    element.select();
    return () => latest.current(element.value);
  }, []);
  return (
    <input
      ref={input}
      class={extra ? `wbx-input ${extra}` : "wbx-input"}
      data-testid="rename"
      dir="auto"
      defaultValue={name}
      maxLength={LIMIT}
      aria-label={label}
      placeholder={placeholder}
      onClick={(event) => event.stopPropagation()}
      onBlur={(event) => end(event.currentTarget.value)}
      onKeyDown={(event) => {
        if (event.isComposing) return;
        event.stopPropagation();
        if (event.key === "Enter") {
          event.preventDefault();
          end(event.currentTarget.value);
        } else if (event.key === "Escape") {
          event.preventDefault();
          end(null);
        }
      }}
    />
  );
}
