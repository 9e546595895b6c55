/** Lines below the header for what holds up everything: no connection, paused queue, full disk. */

import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";

import { download } from "../files";
import type { Store } from "../store";
import { t, type TextKey } from "../texts";
import { attempt } from "../ui/attempt";
import { Button, IconButton } from "../ui/button";
import { Icon, type IconName } from "../ui/icons";
import { inVoila, reloadPage } from "../visitor";

const PATIENCE_MS = 3500; // a kernel that is free answers long before

export function Banners({ store }: { store: Store }) {
  const { value: note } = store.linkNote;
  const waiting = useWaiting(store);
  const temporary = useSignal(true);
  if (store.failure.value !== null) return null; // said in its own place
  return (
    <>
      {note && !(inVoila() && store.link.value === "dead") ? (
        <Banner level={store.link.value === "dead" ? "error" : "warning"} icon="unplug" testid="link-note">
          {t(note as TextKey)}
        </Banner>
      ) : waiting ? (
        <Banner level="info" icon="loader" testid="link-note">{t("waiting_kernel")}</Banner>
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
      {store.hello.value?.workspace.temporary && temporary.value ? (
        <Banner level="info" icon="disk" testid="temporary">
          {t("temporary")}
          <SaveAll store={store} />
          <IconButton icon="x" label={t("dismiss")} onClick={() => (temporary.value = false)} />
        </Banner>
      ) : null}
    </>
  );
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

/** No answer for a while, and nothing else to say about it. */
function useWaiting(store: Store): boolean {
  const late = useSignal(false);
  const silent = store.hello.value === null && store.failure.value === null;
  useEffect(() => {
    if (!silent) {
      late.value = false;
      return undefined;
    }
    const timer = setTimeout(() => (late.value = true), PATIENCE_MS);
    return () => clearTimeout(timer);
  }, [silent]);
  return late.value;
}

/** In place of everything: the kernel refused to begin. */
export function Failed({ store }: { store: Store }) {
  const failure = store.failure.value;
  if (failure === null) return null;
  return (
    <div class="wbx-failed" role="alert" data-testid="error">
      <Icon name="alert" size={28} />
      <h2>{t("failed_title")}</h2>
      <p dir="auto">{failure.message}</p>
      {failure.code === "not_allowed" && inVoila() ? (
        <Button icon="refresh" testid="reload" onClick={reloadPage}>{t("reload")}</Button>
      ) : (
        <Button icon="refresh" testid="retry" onClick={() => store.retry()}>{t("again")}</Button>
      )}
    </div>
  );
}

/** Over everything, where the kernel has gone and no cell can be run again: in Voilà. */
export function Ended({ store }: { store: Store }) {
  const button = useRef<HTMLDivElement>(null);
  const ended = store.link.value === "dead" && inVoila();
  useEffect(() => {
    if (ended) button.current?.querySelector("button")?.focus({ preventScroll: true });
  }, [ended]);
  if (!ended) return null;
  return (
    <div class="wbx-ended" role="alertdialog" aria-labelledby="wbx-ended-title" aria-describedby="wbx-ended-text" data-testid="ended">
      <div ref={button} class="wbx-ended-card">
        <Icon name="unplug" size={28} />
        <h2 id="wbx-ended-title">{t("ended.title")}</h2>
        <p id="wbx-ended-text">{t("ended.text")}</p>
        <Button icon="refresh" look="primary" testid="reload" onClick={reloadPage}>{t("reload")}</Button>
      </div>
    </div>
  );
}

/** One ZIP of all pictures; shows how far it is. */
function SaveAll({ store }: { store: Store }) {
  const part = useSignal<number | null>(null);
  const save = async (): Promise<void> => {
    if (part.value !== null) return;
    part.value = 0;
    await attempt(store, () => download(store, "everything", null, undefined, { onProgress: (done) => (part.value = done) }));
    part.value = null;
  };
  return (
    <Button icon="download" testid="download-all" disabled={part.value !== null || store.link.value === "dead"} onClick={() => void save()}>
      {part.value === null ? t("temporary.save") : t("temporary.saving", { percent: Math.round(100 * part.value) })}
    </Button>
  );
}
