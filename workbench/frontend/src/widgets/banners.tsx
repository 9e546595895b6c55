/** Lines below the header for what holds up everything: no connection, paused queue, full disk. */

import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";

import type { Store } from "../store";
import { t, type TextKey } from "../texts";
import { attempt } from "../ui/attempt";
import { Button, IconButton } from "../ui/button";
import { Icon, type IconName } from "../ui/icons";
import { inVoila, reloadPage } from "../visitor";

const PATIENCE_MS = 3500; // a kernel that is free answers long before
const LOST_MS = 20_000; // the host tries again for ever, even where the server was started anew

/** Of a note for people who see no notebook; the others hold for everybody. */
const FOR_VISITORS: Partial<Record<string, TextKey>> = {
  connection_lost: "page.connection_lost",
  browser_offline: "page.browser_offline",
  waiting_kernel: "page.waiting",
};

export function Banners({ store }: { store: Store }) {
  const { value: note } = store.linkNote;
  const page = inVoila();
  const dead = store.link.value === "dead";
  const isThere = store.hello.value !== null && store.parts.complete;
  const waiting = useLate(!isThere && store.failure.value === null, PATIENCE_MS);
  const Temporary = store.parts.of("feed").value?.Temporary; // with the pictures that it is about
  const lost = useLate(page && note === "connection_lost", LOST_MS);
  if (store.failure.value !== null) return null; // said in its own place
  return (
    <>
      {note || waiting ? (
        <Banner level={dead ? "error" : note ? "warning" : "info"} icon={note ? "unplug" : "loader"} testid="link-note">
          {noteOf(store)}
          {page && (dead || lost) ? <Button icon="refresh" testid="reload-now" onClick={reloadPage}>{t("reload")}</Button> : null}
        </Banner>
      ) : null}
      {[...store.notices.value].map(([code, { message, level }]) => (
        <Banner key={code} level={level} icon={code === "disk_full" ? "disk" : "warning"} testid={`notice-${code}`}>
          {message}
          <IconButton icon="x" label={t("dismiss")} onClick={() => store.dropNotice(code)} />
        </Banner>
      ))}
      {store.queue.value.paused ? (
        <Banner level="paused" icon="pause" testid="paused">
          {t("paused.text")}
          <Button icon="play" testid="resume" onClick={() => void attempt(store, () => store.call("resume"))}>
            {t("paused.act")}
          </Button>
        </Banner>
      ) : null}
      {Temporary ? <Temporary store={store} /> : null}
    </>
  );
}

/** What it waits for, in a sentence. */
export function noteOf(store: Store): string {
  const page = inVoila();
  const note = store.linkNote.value || "waiting_kernel";
  if (page && store.link.value === "dead") return t("ended.title");
  return t((page && FOR_VISITORS[note]) || note);
}

interface BannerProps {
  level: string;
  icon: IconName;
  testid: string;
  children: ComponentChildren;
}

function Banner({ level, icon, testid, children }: BannerProps) {
  return (
    <div class="wbx-banner" data-level={level} data-testid={testid} role={level === "error" ? "alert" : undefined}>
      <Icon name={icon} class={icon === "loader" ? "wbx-spin" : ""} />
      {(Array.isArray(children) ? children : [children]).map((child: ComponentChildren, at: number) =>
        typeof child === "string" ? <p key={at}>{child}</p> : child,
      )}
    </div>
  );
}

/** Whether something has been so for a while. */
export function useLate(now: boolean, ms: number): boolean {
  const late = useSignal(false);
  useEffect(() => {
    if (!now) {
      late.value = false;
      return undefined;
    }
    const timer = setTimeout(() => (late.value = true), ms);
    return () => clearTimeout(timer);
  }, [now]);
  return now && late.value;
}

/** What the same page would only be told again. */
const RELOADED: ReadonlySet<string> = new Set(["not_allowed", "version"]);

/** In place of everything: the kernel refused to begin. */
export function Failed({ store }: { store: Store }) {
  const failure = store.failure.value;
  if (failure === null) return null;
  return (
    <div class="wbx-failed" role="alert" data-testid="error">
      <Icon name="alert" size={28} />
      <h2>{t("failed_title")}</h2>
      <p dir="auto">{failure.message}</p>
      {RELOADED.has(failure.code) ? (
        <Button icon="refresh" testid="reload" onClick={reloadPage}>{t("reload")}</Button>
      ) : (
        <Button icon="refresh" testid="retry" onClick={() => store.retry()}>{t("again")}</Button>
      )}
    </div>
  );
}
