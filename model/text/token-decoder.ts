import { fileFault, isJsonObject, type JsonObject, type JsonValue } from "../files/index.ts";
import type { TokenDecoder } from "./contract.ts";
import { byteFallbackStage, byteLevelStage, type DecoderStage, leadingStripStage, type StageStream, tokenStage } from "./decoder-stage.ts";

/** The `decoder` of a tokenizer.json. Fault model_unsupported names a kind that we can't stream. */
export function parseDecoder(json: JsonValue | undefined): TokenDecoder {
  const stages: DecoderStage[] = [];
  let fused = false;
  for (const part of decoderParts(json)) {
    if (part["type"] === "Fuse") fused = true;
    else stages.push(parseStage(part, fused));
    if (part["type"] === "ByteLevel") fused = true;
  }
  return {
    start: () => startStages(stages.map((stage) => stage.start())),
    tokenBytes(token) {
      let value: string | Uint8Array = token;
      for (const stage of stages) if (typeof value === "string") value = stage.alone(value);
      return typeof value === "string" ? new TextEncoder().encode(value) : value;
    },
  };
}

function decoderParts(json: JsonValue | undefined): readonly JsonObject[] {
  if (json == null) return [{ type: "Spaces" }];
  if (!isJsonObject(json)) throw malformed("is not an object");
  if (json["type"] !== "Sequence") return [json];
  const { decoders } = json;
  if (!Array.isArray(decoders) || !decoders.every(isJsonObject)) throw malformed("is a Sequence without a list of decoders");
  return decoders;
}

/** `fused`: an earlier decoder has made one text of all tokens, of which this one sees piece after piece. */
function parseStage(part: JsonObject, fused: boolean): DecoderStage {
  const kind = String(part["type"]).slice(0, 100);
  if (fused && kind !== "Strip") throw unsupported(`${kind} after the tokens were joined`);
  switch (kind) {
    case "ByteLevel":
      return byteLevelStage();
    case "ByteFallback":
      return byteFallbackStage();
    case "Metaspace":
      return metaspace(part);
    case "Replace":
      return replace(part);
    case "Strip":
      return strip(part, fused);
    case "Spaces": // Not in a file: what the reference does without a decoder.
      return tokenStage((token, index) => (index === 0 ? token : ` ${token}`));
    default:
      throw unsupported(kind);
  }
}

/** The first token loses its marks instead of turning them into spaces, unless spaces were not prepended when encoding. */
function metaspace(part: JsonObject): DecoderStage {
  const { replacement, prepend_scheme: scheme, add_prefix_space: legacy } = part;
  if (typeof replacement !== "string" || replacement === "") throw malformed("has a Metaspace without a replacement");
  const prepends = scheme === undefined ? legacy !== false : scheme !== "never";
  return tokenStage((token, index) => token.replaceAll(replacement, index === 0 && prepends ? "" : " "));
}

function replace(part: JsonObject): DecoderStage {
  const { pattern, content } = part;
  const text = isJsonObject(pattern) ? pattern["String"] : undefined;
  if (typeof text !== "string" || text === "") throw unsupported("Replace with a regular expression");
  if (typeof content !== "string") throw malformed("has a Replace without content");
  return tokenStage((token) => token.replaceAll(text, () => content));
}

function strip(part: JsonObject, fused: boolean): DecoderStage {
  const { content, start, stop } = part;
  if (stop !== 0) throw unsupported("Strip at the end");
  if (typeof content !== "string" || content === "" || typeof start !== "number") throw malformed("has a Strip without content or start");
  if (fused) return leadingStripStage(content, start);
  return tokenStage((token) => {
    let cut = 0;
    for (let count = 0; count < start && token.startsWith(content, cut); count++) cut += content.length;
    return token.slice(cut);
  });
}

function startStages(streams: readonly StageStream[]) {
  const through = (pieces: readonly string[], from: number): string => {
    let current = pieces;
    for (const stream of streams.slice(from)) current = current.flatMap((piece) => stream.push(piece));
    return current.join("");
  };
  return {
    push: (token: string) => through([token], 0),
    end: () => streams.map((stream, index) => through(stream.end(), index + 1)).join(""),
  };
}

function unsupported(what: string) {
  return fileFault("model_unsupported", "tokenizer.json", `decoder: ${what} is not supported`, { field: "decoder" });
}

function malformed(why: string) {
  return fileFault("file_malformed", "tokenizer.json", `decoder: ${why}`, { field: "decoder" });
}
