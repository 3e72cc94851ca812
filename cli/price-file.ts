import { readFileSync } from "node:fs";
import { z } from "zod";
import { Fault, isFault, shapeWords } from "#kernel";
import type { PriceList } from "#proto";
import { parsePriceList } from "#router";
import { lineOf } from "./json-lines.ts";

/** Dollars: a text like "0.15", or a number that prints so. */
const usd = z.union([z.string(), z.number().transform(String)]);
const prices = z.strictObject({ prompt: usd, cached_prompt: usd, completion: usd, training: usd });

/** A price list as a file: dollars per million tokens, and per hour of a GPU. */
const PriceFile = z.strictObject({
  plan: z.string().default("standard"),
  /** Default: from now on. */
  effective_from: z.iso.datetime({ offset: true }).optional(),
  default_prices: prices,
  bases: z.record(z.string(), prices).default({}),
  gpu_hour_usd: usd,
});

/** @throws Fault file_missing or file_malformed; the message names the file, the field and the line */
export function readPriceFile(file: string): PriceList {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (cause) {
    throw new Fault("file_missing", `${file} cannot be read`, { detail: { file }, cause });
  }
  const parsed = PriceFile.safeParse(parseJson(file, text), { error: shapeWords });
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    // A field that should not be there is told by its parent.
    const path = [...issue!.path.map(String), ...(issue!.code === "unrecognized_keys" ? issue!.keys.slice(0, 1) : [])];
    throw malformed(file, text, path, issue!.message);
  }
  const { plan, effective_from, default_prices, bases, gpu_hour_usd } = parsed.data;
  const list: PriceList = {
    ...{ version: 0, plan, gpuHourUsd: gpu_hour_usd, defaultPrices: pricesMessage(default_prices) },
    effectiveFromMs: effective_from === undefined ? 0 : Date.parse(effective_from),
    bases: Object.fromEntries(Object.entries(bases).map(([name, own]) => [name, pricesMessage(own)])),
  };
  try {
    parsePriceList(list);
  } catch (error) {
    if (!isFault(error, "parameter_invalid")) throw error;
    throw malformed(file, text, (error.detail.field ?? "").split("."), error.message);
  }
  return list;
}

function pricesMessage({ prompt, cached_prompt: cachedPrompt, completion, training }: z.output<typeof prices>) {
  return { prompt, cachedPrompt, completion, training };
}

function parseJson(file: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    const message = (cause as SyntaxError).message;
    // Node tells the line, but not of a text that ends too early.
    const line = Number(/\(line (\d+)/.exec(message)?.[1] ?? text.trimEnd().split("\n").length);
    throw new Fault("file_malformed", `${file}:${line}: no JSON: ${message}`, { detail: { file, line }, cause });
  }
}

function malformed(file: string, text: string, path: readonly string[], message: string): Fault<"file_malformed"> {
  const field = path.join(".");
  const line = lineOf(text, path);
  return new Fault("file_malformed", `${file}:${line}: ${field === "" ? "" : `${field}: `}${message}`, { detail: { file, line, field } });
}
