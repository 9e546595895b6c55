/** Hear what the kernel says in a page that was slow to start.
 *
 *  anywidget (0.11) waits with the messages for a model until its module has run, gives that 2 s
 *  from the moment the model was made, and after a failure drops every later message of the model,
 *  although the widget is drawn. A page that opens on a busy machine takes longer than that (seen
 *  with the processor throttled to a twentieth, after F5: "connecting" for ever). Here the model's
 *  own way of handling messages takes its place. Nothing else in the front end goes around a host.
 */

interface Host {
  on(event: string, callback: (real: unknown) => void): void;
  off(event: string, callback: (real: unknown) => void): void;
  set?(name: string, value: unknown): void;
}
interface Real {
  comm?: { on_msg?(callback: (message: unknown) => void): void };
  constructor: { prototype: object };
}
type Handle = (this: unknown, message: unknown) => unknown;

/** Returns whether there was something to go around. */
export function hearAgain(model: object): boolean {
  const real = behind(model as Host);
  const shown = real?.constructor.prototype as { _handle_comm_msg?: Handle } | undefined;
  const below = shown && (Object.getPrototypeOf(shown) as typeof shown | null);
  const handle = below?._handle_comm_msg;
  if (!real?.comm?.on_msg || !handle || shown?._handle_comm_msg === handle) return false;
  real.comm.on_msg((message) => handle.call(real, message));
  return true;
}

/** The host's own model: an event about a change is all that hands it over. */
function behind(model: Host): Real | undefined {
  let real: Real | undefined;
  const take = (sender: unknown): void => {
    real = sender as Real;
  };
  const event = "change:_wbx_hearing"; // never saved, so no kernel gets to see it
  model.on(event, take);
  model.set?.("_wbx_hearing", {});
  model.off(event, take);
  return real;
}
