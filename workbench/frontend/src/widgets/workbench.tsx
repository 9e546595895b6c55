/** Everything in one: settings, prompt and feed, topics. */

import { type ReadonlySignal, useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useMemo, useRef } from "preact/hooks";

import { LightboxDialog } from "../feed/lightbox_place";
import { LateFeed } from "../feed/skeleton";
import { isTyping } from "../keys";
import { fillsPage, hasControls, type WidgetProps } from "../model";
import type { Store } from "../store";
import { t } from "../texts";
import { IconButton } from "../ui/button";
import { Banners, Failed } from "./banners";
import { Settings } from "./config_panel";
import { Header } from "./header";
import { Shortcuts } from "./late_dialogs";
import { type Layout, layoutFor, LIMITS, type Side, widthOf } from "./panels";
import { Prompt } from "./prompt_box";
import { Splitter } from "./splitter";
import { Topics } from "./topics_sidebar";

const FIRST_GUESS = 1240; // until it is measured, which is before anything is painted

export function Workbench({ store, traits }: WidgetProps<Store>) {
  const frame = useRef<HTMLDivElement>(null);
  const measured = useSignal<ReadonlySignal<number> | null>(null);
  const drawer = useSignal<Side | null>(null);
  const help = useSignal(false);
  useLayoutEffect(() => {
    const { width, stop } = widthOf(frame.current!);
    measured.value = width;
    return stop;
  }, []);
  const title = fillsPage(traits) ? document.title || store.hello.value?.workspace.title : undefined;
  const total = measured.value?.value ?? FIRST_GUESS;
  const has = { config: hasControls(traits), topics: true };
  const layout = layoutFor(total, store.desk.panels.value, has);
  const out = drawer.value !== null && !layout.docked[drawer.value] ? drawer.value : null;
  useEffect(() => {
    // Wide enough again: the drawer is a panel now.
    if (drawer.value !== null && out === null) drawer.value = null;
  }, [out]);

  const fold = (side: Side, open: boolean): void => {
    store.desk.setPanels({ [`${side}_open`]: open });
    // The button that was pressed goes with its panel: its counterpart takes the focus.
    const next = `[data-testid="${open ? "collapse" : "expand"}-${side}"]`;
    requestAnimationFrame(() => frame.current?.querySelector<HTMLElement>(next)?.focus({ preventScroll: true }));
  };
  // The page has no other heading. Where there is no room for it, it is there to be heard.
  const titled = title !== undefined && layout.open.config;
  const switchFor = (side: Side) =>
    has[side] && !layout.docked[side]
      ? { open: out === side, toggle: () => (drawer.value = out === side ? null : side) }
      : null;
  const closeDrawer = (): void => {
    drawer.value = null;
  };
  // The same elements each time: moving a splitter does not draw what is beside it again.
  const settings = useMemo(() => <Settings store={store} traits={traits} />, [store, traits]);
  const feed = useMemo(() => <LateFeed store={store} />, [store]);
  const viewer = useMemo(() => <LightboxDialog store={store} />, [store]);
  const part = { store, layout, out, fold, closeDrawer };
  return (
    <div
      ref={frame}
      class="wbx-frame wbx-workbench"
      data-layout={layout.docked.topics ? "wide" : layout.docked.config || (!has.config && total >= 600) ? "middle" : "narrow"}
      style={fillsPage(traits) ? undefined : { height: `${traits.height.value > 0 ? traits.height.value : 720}px` }}
      onKeyDown={(event) => {
        if (event.key !== "?" || event.ctrlKey || event.metaKey || isTyping(event.target)) return;
        if ((event.target as Element).closest("dialog")) return;
        event.preventDefault();
        help.value = true;
      }}
    >
      {has.config ? (
        <Part {...part} side="config">
          <div class="wbx-panel-scroll">
            {titled ? <h1 class="wbx-page-title" dir="auto">{title}</h1> : null}
            {settings}
          </div>
          <div class="wbx-panel-corner">
            <Collapse {...part} side="config" />
          </div>
        </Part>
      ) : null}
      <main class="wbx-main" inert={out !== null} aria-label={t("main.label")}>
        {title === undefined || titled ? null : <h1 class="wbx-hidden">{title}</h1>}
        <Header store={store} title={titled ? undefined : title} settings={switchFor("config")} topics={switchFor("topics")} onShortcuts={() => (help.value = true)} />
        <Banners store={store} />
        {store.failure.value === null ? (
          <>
            <div class="wbx-ask-place"><Prompt store={store} /></div>
            {feed}
          </>
        ) : (
          <Failed store={store} />
        )}
      </main>
      <Part {...part} side="topics">
        <Topics store={store} simple={traits.simple.value} onOpen={closeDrawer} fold={<Collapse {...part} side="topics" />} />
      </Part>
      {out === null ? null : <div class="wbx-scrim" aria-hidden="true" onClick={closeDrawer} />}
      {help.value ? <Shortcuts store={store} onClose={() => (help.value = false)} /> : null}
      {viewer}
    </div>
  );
}

interface PartProps {
  store: Store;
  layout: Layout;
  /** The drawer that is out. */
  out: Side | null;
  side: Side;
  fold(side: Side, open: boolean): void;
  closeDrawer(): void;
}

/** Hides the panel or closes the drawer. */
function Collapse({ layout, side, fold, closeDrawer }: PartProps) {
  const docked = layout.docked[side];
  return (
    <IconButton
      class="wbx-faint"
      icon={docked ? (side === "config" ? "collapse_left" : "collapse_right") : "x"}
      label={docked ? t(`${side}.collapse`) : t("close")}
      shortcut={docked ? undefined : t("key.escape")}
      testid={`collapse-${side}`}
      onClick={() => (docked ? fold(side, false) : closeDrawer())}
    />
  );
}

function Part({ children, ...part }: PartProps & { children: ComponentChildren }) {
  const { layout, out, side, fold, closeDrawer, store } = part;
  const panel = useRef<HTMLElement>(null);
  const isOut = out === side;
  const docked = layout.docked[side];
  useDrawerFocus(panel, isOut, closeDrawer);
  if (docked && !layout.open[side]) {
    return (
      <aside class="wbx-rail-panel" data-side={side}>
        <IconButton
          icon={side === "config" ? "sliders" : "list"}
          label={t(`${side}.expand`)}
          testid={`expand-${side}`}
          onClick={() => fold(side, true)}
        />
      </aside>
    );
  }
  const splitter = docked ? (
    <Splitter
      label={t(`${side}.resize`)}
      side={side === "config" ? "start" : "end"}
      value={layout.width[side]}
      least={LIMITS[side].least}
      most={layout.most[side]}
      usual={LIMITS[side].usual}
      onMove={(width) => store.desk.setPanels({ [`${side}_width`]: width })}
      onCollapse={() => fold(side, false)}
    />
  ) : null;
  return (
    <>
      {side === "topics" ? splitter : null}
      <aside
        ref={panel}
        class={docked ? "wbx-panel" : "wbx-panel wbx-drawer"}
        data-side={side}
        data-out={isOut ? "" : undefined}
        style={docked ? { width: `${layout.width[side]}px` } : undefined}
        aria-label={t(side === "config" ? "config.label" : "topics.title")}
        inert={!docked && !isOut}
        tabIndex={-1}
        onKeyDown={(event) => {
          if (event.key !== "Escape" || docked || event.defaultPrevented) return;
          // A dialog that was opened from here is the first to close.
          if ((event.target as Element).closest("dialog")) return;
          event.preventDefault();
          closeDrawer();
        }}
      >
        {children}
      </aside>
      {side === "config" ? splitter : null}
    </>
  );
}

/** A drawer that comes out takes the focus, and gives it back when it goes. */
function useDrawerFocus(panel: { current: HTMLElement | null }, isOut: boolean, close: () => void): void {
  useLayoutEffect(() => {
    if (!isOut) return undefined;
    const before = document.activeElement;
    const takeFocus = (): void => panel.current?.focus({ preventScroll: true });
    takeFocus();
    // JupyterLab, told of the press that opened this, may focus a cell after it. Nobody asked for
    // that: until the next press or key the focus comes back. An Escape before any other is the
    // drawer's, wherever the focus is.
    const untilInput = new AbortController();
    const options = { capture: true, signal: untilInput.signal };
    const stolen = (event: FocusEvent): void => {
      if (!panel.current?.contains(event.target as Node)) takeFocus();
    };
    addEventListener("focusin", stolen, options);
    const input = (event: Event): void => {
      untilInput.abort();
      if ((event as KeyboardEvent).key === "Escape") close();
    };
    for (const kind of ["pointerdown", "keydown"]) addEventListener(kind, input, options);
    return () => {
      untilInput.abort();
      // The part below is inert until this rendering is done.
      requestAnimationFrame(() => {
        if (before instanceof HTMLElement && before.isConnected) before.focus({ preventScroll: true });
      });
    };
  }, [isOut]);
}
