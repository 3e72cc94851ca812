import * as z from "zod";
import { checkShape, isJsonObject, type JsonObject, type JsonValue } from "../files/index.ts";
import { malformed, unsupported } from "./config-fault.ts";
import { contextTokens, factor } from "./config-fields.ts";
import type { ModelConfig, RopeScaling } from "./contract.ts";

/** What transformers assumes when a config names no base of the angles. */
const THETA_DEFAULT = 10_000;

const LinearFields = z.object({ factor });
const Llama3Fields = z.object({
  factor,
  low_freq_factor: factor,
  high_freq_factor: factor,
  original_max_position_embeddings: contextTokens,
});

/**
 * Rotary positions, as written by transformers 5 (`rope_parameters`) or before (`rope_theta` and `rope_scaling`, with
 * the kind under `rope_type` or, older still, `type`).
 */
export function ropeConfig(json: JsonObject): ModelConfig["rope"] {
  const field = json["rope_parameters"] == null ? "rope_scaling" : "rope_parameters";
  const written = json[field] ?? Object.create(null);
  if (!isJsonObject(written)) throw malformed(field, "not an object");
  if (Object.values(written).some(isJsonObject)) throw unsupported(field, "a different rope per layer type");
  for (const share of [json["partial_rotary_factor"], written["partial_rotary_factor"]]) {
    if (share != null && share !== 1) throw unsupported("partial_rotary_factor", String(share));
  }
  const theta = written["rope_theta"] ?? json["rope_theta"] ?? THETA_DEFAULT;
  if (typeof theta !== "number" || !(theta > 0)) throw malformed("rope_theta", "not a number above 0");
  return { theta, scaling: scalingOf(written, field) };
}

function scalingOf(written: JsonObject, field: string): RopeScaling {
  const kind: JsonValue = written["rope_type"] ?? written["type"] ?? "default";
  switch (kind) {
    case "default":
      return { kind: "none" };
    case "linear":
      return { kind: "linear", factor: checkShape(LinearFields, written, `config.json ${field}`).factor };
    case "llama3":
      return llama3Scaling(written, field);
    default:
      throw unsupported(field, `rope type ${JSON.stringify(kind).slice(0, 100)}`);
  }
}

function llama3Scaling(written: JsonObject, field: string): RopeScaling {
  const fields = checkShape(Llama3Fields, written, `config.json ${field}`);
  // The wavelengths between the two factors are interpolated by a division by their difference.
  if (!(fields.low_freq_factor < fields.high_freq_factor)) throw malformed(field, "low_freq_factor is not below high_freq_factor");
  return {
    kind: "llama3",
    factor: fields.factor,
    lowFrequencyFactor: fields.low_freq_factor,
    highFrequencyFactor: fields.high_freq_factor,
    originalContextTokensMax: fields.original_max_position_embeddings,
  };
}
