/** Components of parts that may not be there yet: until then something waits in their place. */

import type { ComponentType } from "preact";
import { h } from "preact";
import { useMemo } from "preact/hooks";

import type { Modules, PartName } from "../parts";
import type { Store } from "../store";
import { Broken } from "./boundary";

interface WithStore { store: Store }

/** The component that `pick` finds in a part; `Waiting` takes exactly its room. */
export function late<N extends PartName, P extends WithStore>(
  part: N,
  pick: (module: Modules[N]) => ComponentType<P>,
  Waiting: ComponentType<P>,
): ComponentType<P> {
  return function Late(props: P) {
    const { parts } = props.store;
    useMemo(() => parts.need(part), [parts]);
    const module = parts.of(part).value;
    if (module !== null) return h(pick(module), props);
    const reason = parts.trouble.value.get(part) ?? "";
    return reason === "" ? h(Waiting, props) : <Broken reason={reason} onAgain={() => parts.again()} />;
  };
}
