/** The `_esm` of every widget but the first of a kernel: gets the bundle, and hands over to it.
 *
 *  The bundle comes from another widget of the page or, as a buffer, from the kernel.
 */

import { hearAgain } from "./hearing";
import { shelf, type Shelf, type Widget, type Whole } from "./shared";
import { notLoaded, WAITING } from "./texts_loader";

interface Answer { to?: string; rid?: string; ok?: boolean; error?: { message?: string } }
type Listener = (message: Answer, buffers?: DataView[]) => void;
interface Model {
  get(name: string): unknown;
  send(content: unknown): void;
  on(event: string, callback: Listener): void;
  off(event: string, callback: Listener): void;
}
interface Context { model: Model; el: HTMLElement }

// The widget that carries the bundle may be a moment behind; a kernel may be busy starting.
const ASK_AFTER_MS = [100, 1000, 3000, 8000, 20_000];
const SAY_AFTER_MS = 6000;

/** Ask until the bundle is there; returns what stops the asking. */
function ask(model: Model, hash: string, place: Shelf, refused: (reason: string) => void) {
  const client = `l-${crypto.getRandomValues(new Uint32Array(3)).join("-")}`;
  const send = (op: string, args: object) => model.send({ op, rid: op, client, args });
  const listen: Listener = (message, buffers) => {
    if (message.to !== client || message.rid !== "bundle") return;
    const code = buffers?.[0];
    // A late answer still counts: a kernel may be busy for minutes.
    if (message.ok && code) take(code);
    else if (message.error?.message) refused(message.error.message);
  };
  const take = (code: DataView): void => {
    stop();
    const url = URL.createObjectURL(
      new Blob([code as DataView<ArrayBuffer>], { type: "text/javascript" }),
    );
    import(url)
      .then((module: { default: Whole }) => place.give(module.default))
      // A page that forbids this import gets the bundle as the model's own module.
      .catch(() => send("full_esm", {}))
      .finally(() => URL.revokeObjectURL(url));
  };
  const timers = ASK_AFTER_MS.map((ms, time) =>
    setTimeout(() => {
      // One asks at first; each for itself later: the first may have been closed meanwhile.
      if (time === 2) hearAgain(model);
      if (time > 0 || !place.asked) {
        place.asked = true;
        send("bundle", { hash });
      }
    }, ms),
  );
  const stop = (): void => {
    timers.forEach(clearTimeout);
    model.off("msg:custom", listen);
  };
  model.on("msg:custom", listen);
  void place.whole.then(stop);
  return stop;
}

export default (): Widget => {
  let ready: Promise<Widget> | undefined;
  let trouble = WAITING;
  let ended = false; // the model is gone, or has the whole bundle for its own now

  return {
    // Nothing is awaited here: anywidget gives up on an initialize that takes 2 s.
    initialize(context: Context) {
      const hash = String(context.model.get("_hash"));
      const place = shelf(hash);
      const stop = ask(context.model, hash, place, (reason) => (trouble = reason));
      let cleanUp: unknown;
      ready = place.whole.then(async (whole) => {
        const widget = typeof whole === "function" ? await whole() : whole;
        if (!ended) cleanUp = await widget.initialize(context);
        return widget;
      });
      ready.catch(() => undefined); // render says it
      return () => {
        ended = true;
        stop();
        if (typeof cleanUp === "function") cleanUp();
      };
    },

    async render(context: Context) {
      const { el } = context;
      const say = (text: string): void => {
        if (ended) return;
        el.setAttribute("role", "status");
        el.textContent = text;
      };
      const timer = setInterval(() => say(trouble), SAY_AFTER_MS);
      try {
        const widget = await ready;
        if (ended) return undefined;
        if (el.hasAttribute("role")) {
          el.removeAttribute("role");
          el.textContent = "";
        }
        return await widget?.render(context);
      } catch (error) {
        say(notLoaded((error as Error).message));
        return undefined;
      } finally {
        clearInterval(timer);
      }
    },
  };
};
