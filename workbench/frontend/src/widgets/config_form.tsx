/** The settings of the next request, drawn from what the model says that it takes. */

import { useComputed, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";

import type { Traits } from "../model";
import type { ModelInfo, ParameterInfo, ProviderInfo } from "../protocol";
import type { Store } from "../store";
import { t } from "../texts_settings";
import { Button, IconButton } from "../ui/button";
import { useDraft } from "../ui/draft";
import { type Choice, type ChoiceGroup, FieldHead, NumberField, Select } from "../ui/field";
import { Icon } from "../ui/icons";
import { liveOf } from "../ui/live";
import { parseSeed, randomSeed } from "../ui/numbers";
import { Problem } from "../ui/problem";
import { useUnique } from "../ui/unique";
import { ParameterField } from "./parameter_field";
import { ProvidersDialog } from "./late_dialogs";
import { ReferencesField } from "./references_field";
import { SizeField } from "./size_field";

const USUAL_MOST = 4; // what the slider offers; who wants more asks for it, up to what the model allows

interface FormProps {
  store: Store;
  traits: Traits;
}

export function ConfigForm({ store, traits }: FormProps) {
  const model = store.desk.model.value;
  const { value: controls } = traits.controls;
  const shows = (name: string): boolean => controls === null || controls.includes(name);
  const offered = (model?.parameters ?? []).filter(
    (one) => shows(one.name) && !(traits.simple.value && one.advanced),
  );
  const sides = { width: offered.find((one) => one.name === "width"), height: offered.find((one) => one.name === "height") };
  const others = offered.filter((one) => one.name !== "width" && one.name !== "height");
  const advanced = others.filter((one) => one.advanced);
  return (
    <form
      class="wbx-config"
      data-testid="config"
      aria-label={t("config.label")}
      autocomplete="off"
      onSubmit={(event) => event.preventDefault()}
    >
      {shows("model") ? <ModelField store={store} /> : null}
      <Dropped store={store} />
      {model === undefined ? null : (
        <>
          {sides.width && sides.height ? (
            <SizeField store={store} width={sides.width} height={sides.height} />
          ) : (
            [sides.width, sides.height].map((side) => (side ? <SideField key={side.name} store={store} side={side} /> : null))
          )}
          {shows("n") ? <CountField store={store} model={model} /> : null}
          {shows("seed") && model.seeds ? <SeedField store={store} /> : null}
          {others.filter((one) => !one.advanced).map((one) => (
            <ParameterField key={`${model.id} ${one.name}`} store={store} parameter={one} />
          ))}
          {/* They go with the prompts of this page: where there is no prompt box, they would go nowhere. */}
          {shows("references") && store.hello.value?.widget === "Workbench" ? <ReferencesField store={store} /> : null}
          {advanced.length > 0 ? <Advanced store={store} model={model} parameters={advanced} /> : null}
        </>
      )}
    </form>
  );
}

// -- model ----------------------------------------------------------------------------------------

function ModelField({ store }: { store: Store }) {
  const id = useUnique();
  const model = store.desk.model.value;
  const chosen = store.desk.config.value.model;
  const groups = useComputed(() => groupsOf(store.models.value, store.providers.value, store.desk.config.value.model)).value;
  const provider = store.providers.value.find((one) => one.name === model?.provider) ?? ownerOf(store.providers.value, chosen);
  return (
    <div class="wbx-field wbx-part">
      <FieldHead id={id} label={t("config.model")} {...(model?.help ? { help: model.help } : {})} />
      {groups.length === 0 ? (
        <p class="wbx-problem" role="alert">{t("config.no_models")}</p>
      ) : (
        <Select
          id={id}
          testid="model-select"
          value={chosen}
          choices={groups}
          note={noteOf(model, provider)}
          onChange={(value) => store.desk.set({ model: value })}
        />
      )}
      {provider === undefined || provider.ready ? null : (
        <p class="wbx-missing" data-testid="model-missing">
          <Icon name="alert" size={14} />
          <span>{provider.message || t("config.missing", { name: provider.title })}</span>
        </p>
      )}
      <ProvidersButton store={store} missing={provider?.ready === false ? provider : undefined} />
    </div>
  );
}

const NOTE_CHARACTERS = 24; // of title and note together: what fits beside one another

function noteOf(model: ModelInfo | undefined, provider: ProviderInfo | undefined): string {
  if (model === undefined || provider === undefined) return "";
  return model.title.length + provider.title.length > NOTE_CHARACTERS ? "" : provider.title;
}

/** By provider, those that can be used. What the others lack is told where they are set up; of the
 *  chosen one it is told below. */
function groupsOf(models: readonly ModelInfo[], providers: readonly ProviderInfo[], chosen: string): ChoiceGroup[] {
  const groups: ChoiceGroup[] = [];
  const usable = new Set<string>();
  const choicesOf = (own: readonly ModelInfo[]): Choice[] =>
    own.map(({ id, title }) => {
      usable.add(id);
      return { value: id, label: title };
    });
  for (const provider of providers.filter((one) => one.ready)) {
    const choices = choicesOf(models.filter((model) => model.provider === provider.name));
    if (choices.length > 0) groups.push({ label: provider.title, choices });
  }
  const known = new Set(providers.map((provider) => provider.name));
  const rest = choicesOf(models.filter((model) => !known.has(model.provider)));
  if (rest.length > 0) groups.push({ label: t("config.model"), choices: rest });
  if (chosen !== "" && !usable.has(chosen)) {
    const owner = ownerOf(providers, chosen);
    const label = owner ? t("config.missing", { name: owner.title }) : t("config.missing_model");
    const title = models.find((model) => model.id === chosen)?.title ?? chosen;
    groups.unshift({ label, choices: [{ value: chosen, label: title, disabled: true }] });
  }
  return groups;
}

/** Whose a model is, also one that the page is told nothing more of. */
function ownerOf(providers: readonly ProviderInfo[], model: string): ProviderInfo | undefined {
  return providers.find((one) => model.startsWith(`${one.name}:`) || model.startsWith(`${one.name}/`));
}

/** What the change of model did not take over: said once, and seen until the next change. Of a
 *  change made elsewhere the kernel says it. */
function Dropped({ store }: { store: Store }) {
  const names = store.desk.dropped.value;
  const model = store.desk.model.value?.title ?? "";
  const own = names.length > 0 ? t("config.dropped", { model, names: names.join(", ") }) : "";
  const text = own || store.desk.remark.value;
  const hidden = useSignal("");
  useEffect(() => liveOf(store).say(text), [text]);
  if (text === "" || hidden.value === text) return null;
  return (
    <div class="wbx-dropped" data-testid="dropped">
      <Icon name="alert" size={14} />
      <p>{text}</p>
      <IconButton icon="x" label={t("dismiss")} onClick={() => (hidden.value = text)} />
    </div>
  );
}

/** The button that opens what sets providers up; nothing where they are the operator's. */
/** `missing`: the provider of the chosen model, if it cannot be used. */
function ProvidersButton({ store, missing }: { store: Store; missing: ProviderInfo | undefined }) {
  const open = useSignal(false);
  if (!store.hello.value?.may_set_providers || store.offer.simple.value) return null;
  const others = store.providers.value.filter((one) => !one.ready).length;
  return (
    <>
      <Button
        look={missing ? "plain" : "quiet"}
        class="wbx-providers-open"
        icon="sliders"
        testid="providers"
        onClick={() => (open.value = true)}
      >
        {missing
          ? t("providers.set_up", { name: missing.title })
          : others > 0 ? t("providers.more", { count: others }) : t("providers.title")}
      </Button>
      {open.value ? (
        <ProvidersDialog store={store} opened={missing?.name ?? ""} onClose={() => (open.value = false)} />
      ) : null}
    </>
  );
}

// -- count, seed, one side ------------------------------------------------------------------------

function CountField({ store, model }: { store: Store; model: ModelInfo }) {
  const { n } = store.desk.config.value;
  const most = model.max_images;
  if (most === 1) return null;
  return (
    <NumberField
      store={store}
      label={t("config.images")}
      testid="count"
      value={n}
      limits={{ kind: "integer", minimum: 1, maximum: most, step: 1 }}
      reach={Math.min(most, USUAL_MOST)}
      steps={most > USUAL_MOST ? { less: t("config.fewer"), more: t("config.more", { count: most }) } : undefined}
      commit={(value) => store.desk.set({ n: value })}
    />
  );
}

function SeedField({ store }: { store: Store }) {
  const id = useUnique();
  const { seed } = store.desk.config.value;
  const label = t("config.seed");
  const commit = (value: string | null): void => {
    if (value !== store.desk.config.peek().seed) store.desk.set({ seed: value });
  };
  const draft = useDraft({ store, label, value: seed, show: (one) => one ?? "", parse: parseSeed, commit });
  return (
    <div class="wbx-field">
      <FieldHead id={id} label={label} help={t("config.seed_help")} />
      <div class="wbx-input-row">
        <div class="wbx-seed">
          <input
            id={id}
            type="text"
            inputMode="numeric"
            class="wbx-input wbx-number"
            data-testid="seed"
            value={draft.text}
            placeholder={t("config.seed_random")}
            aria-invalid={draft.problem ? "true" : undefined}
            aria-describedby={draft.problem ? `${id}-problem` : undefined}
            onInput={(event) => draft.input(event.currentTarget.value)}
            onBlur={draft.leave}
            onKeyDown={draft.key}
          />
          {seed === null ? null : (
            <IconButton icon="x" label={t("config.seed_clear")} testid="seed-clear" onClick={() => commit(null)} />
          )}
        </div>
        <IconButton class="wbx-boxed" icon="dice" label={t("config.seed_dice")} testid="seed-dice" onClick={() => commit(randomSeed())} />
      </div>
      <Problem id={`${id}-problem`} text={draft.problem} />
    </div>
  );
}

/** Only one side can be chosen, or only one is shown. */
function SideField({ store, side }: { store: Store; side: ParameterInfo }) {
  const name = side.name as "width" | "height";
  const value = store.desk.config.value[name];
  if (value === null || (side.kind !== "integer" && side.kind !== "number")) return null;
  return (
    <NumberField
      store={store}
      label={side.label || t(`config.${name}`)}
      testid={name}
      value={value}
      limits={{ ...side, kind: side.kind }}
      unit={side.unit}
      help={side.help}
      commit={(next) => store.desk.set({ [name]: next })}
    />
  );
}

function Advanced({ store, model, parameters }: { store: Store; model: ModelInfo; parameters: ParameterInfo[] }) {
  return (
    <details class="wbx-advanced">
      <summary>
        <Icon name="chevron-right" size={14} />
        {t("config.advanced")}
      </summary>
      <div class="wbx-advanced-fields">
        {parameters.map((one) => <ParameterField key={`${model.id} ${one.name}`} store={store} parameter={one} />)}
      </div>
    </details>
  );
}
