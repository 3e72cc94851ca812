import { Button, Checkbox, Panel, Slider, TextField } from "../../components/index.ts";
import { playground } from "./playground-state.ts";
import { FURTHER_SLIDERS, INITIAL_SETTINGS, MAIN_SLIDERS, parseLogitBias, type Settings, type SliderRange } from "./settings.ts";
import { StopSequences } from "./stop-sequences.tsx";

/** Every field of sampling that the API has. */
export function SettingsPanel() {
  const { settings, probabilities } = playground();
  const set = (change: Partial<Settings>) => {
    settings.value = { ...settings.value, ...change };
  };
  const slider = ({ field, ...range }: SliderRange) => (
    <Slider key={field} {...range} value={settings.value[field]} onInput={(value) => set({ [field]: value })} />
  );
  return (
    <Panel
      title="Settings"
      actions={
        <Button kind="quiet" onPress={() => set({ ...UNSET, ...INITIAL_SETTINGS })}>
          Reset
        </Button>
      }
    >
      {MAIN_SLIDERS.map(slider)}
      <StopSequences value={settings.value.stop} onChange={(stop) => set({ stop })} />
      <Checkbox
        label="Probabilities of tokens"
        checked={probabilities.value}
        onChange={(checked) => {
          probabilities.value = checked;
        }}
      />
      <details>
        <summary>All settings</summary>
        <div class="stack">
          {FURTHER_SLIDERS.map(slider)}
          <TextField
            label="Seed"
            value={settings.value.seed === undefined ? "" : String(settings.value.seed)}
            placeholder="drawn"
            onInput={(text) => set({ seed: /^-?\d{1,15}$/.test(text) ? Number(text) : undefined })}
            hint="The same seed and settings give the same text."
          />
          <TextField
            label="Logit bias"
            value={biasText(settings.value)}
            placeholder="token=bias, …"
            onInput={(text) => set({ logit_bias: parseLogitBias(text) })}
            hint="By token id, from −100 to 100: 42=-100, 7=5"
          />
          <Checkbox
            label="Go on after the end"
            checked={settings.value.ignore_eos}
            onChange={(checked) => set({ ignore_eos: checked })}
            hint="The model's own end token does not end the text."
          />
        </div>
      </details>
      <p class="hint">What stands in grey is not sent: the model's own default holds. Empty a number to unset it.</p>
    </Panel>
  );
}

const UNSET = Object.fromEntries([...MAIN_SLIDERS, ...FURTHER_SLIDERS].map(({ field }) => [field, undefined])) as Partial<Settings>;

function biasText({ logit_bias: bias = {} }: Settings): string {
  return Object.entries(bias)
    .map(([token, value]) => `${token}=${value}`)
    .join(", ");
}
