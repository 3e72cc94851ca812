/** How a text is made, by the API's own names. What is undefined is not sent: then the model's own default holds. */
export interface Settings {
  readonly max_tokens?: number | undefined;
  readonly temperature?: number | undefined;
  readonly top_p?: number | undefined;
  readonly top_k?: number | undefined;
  readonly min_p?: number | undefined;
  readonly presence_penalty?: number | undefined;
  readonly frequency_penalty?: number | undefined;
  readonly repetition_penalty?: number | undefined;
  readonly n?: number | undefined;
  readonly seed?: number | undefined;
  readonly stop: readonly string[];
  readonly logit_bias?: Readonly<Record<string, number>> | undefined;
  readonly ignore_eos: boolean;
}

export type SliderField = Exclude<keyof Settings, "stop" | "logit_bias" | "ignore_eos" | "seed">;

export interface SliderRange {
  readonly field: SliderField;
  readonly label: string;
  readonly hint: string;
  readonly min: number;
  readonly max: number;
  readonly step: number;
  /** What the API takes without a wish, unless the model says otherwise. */
  readonly fallback: number;
}

/** Greedy, so that the same prompt shows the same text: what one compares models by. */
export const INITIAL_SETTINGS: Settings = { max_tokens: 128, temperature: 0, stop: [], ignore_eos: false };

export const STOPS_MAX = 4;
export const STOP_CHARACTERS_MAX = 256;

export const MAIN_SLIDERS: readonly SliderRange[] = [
  { field: "temperature", label: "Temperature", hint: "0 takes the likeliest token each time", min: 0, max: 2, step: 0.01, fallback: 1 },
  { field: "max_tokens", label: "Length, in tokens", hint: "where a text ends at the latest", min: 1, max: 2048, step: 1, fallback: 256 },
  { field: "top_p", label: "Top p", hint: "only the likeliest tokens that come to this share", min: 0.01, max: 1, step: 0.01, fallback: 1 },
];

export const FURTHER_SLIDERS: readonly SliderRange[] = [
  { field: "top_k", label: "Top k", hint: "only so many of the likeliest tokens; 0 is all", min: 0, max: 200, step: 1, fallback: 0 },
  {
    field: "min_p",
    label: "Min p",
    hint: "only tokens at least so likely, measured by the likeliest",
    min: 0,
    max: 1,
    step: 0.01,
    fallback: 0,
  },
  { field: "presence_penalty", label: "Presence penalty", hint: "against tokens that were used", min: -2, max: 2, step: 0.01, fallback: 0 },
  {
    ...{ field: "frequency_penalty", label: "Frequency penalty", hint: "against tokens, the more often they were used" },
    ...{ min: -2, max: 2, step: 0.01, fallback: 0 },
  },
  {
    ...{ field: "repetition_penalty", label: "Repetition penalty", hint: "divides the scores of tokens in prompt and text; 1 is off" },
    ...{ min: 0.01, max: 2, step: 0.01, fallback: 1 },
  },
  { field: "n", label: "Choices", hint: "so many texts for one prompt; each is billed", min: 1, max: 16, step: 1, fallback: 1 },
];

/** `50256=-100, 11=5`: by token id. Undefined for what is nothing of the kind. */
export function parseLogitBias(text: string): Readonly<Record<string, number>> | undefined {
  const pairs = text.split(",").flatMap((part) => {
    const [, token, bias] = /^\s*(\d+)\s*=\s*(-?\d+(?:\.\d+)?)\s*$/.exec(part) ?? [];
    return token === undefined || Math.abs(Number(bias)) > 100 ? [] : [[token, Number(bias)] as const];
  });
  return pairs.length === 0 ? undefined : Object.fromEntries(pairs);
}
