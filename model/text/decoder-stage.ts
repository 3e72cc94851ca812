/**
 * One decoder of a tokenizer.json, made streaming. The reference (the `tokenizers` library) runs each decoder over the
 * whole list of tokens; a stage gets the same tokens one by one and gives out what can't change any more.
 */
export interface DecoderStage {
  /** A stage with no tokens yet. */
  start(): StageStream;
  /** What one token stands for in the middle of a text: text for the next stage, or bytes at last. */
  alone(token: string): string | Uint8Array;
}

export interface StageStream {
  /** The pieces that became certain with this one. */
  push(piece: string): readonly string[];
  /** The pieces that were held back. */
  end(): readonly string[];
}

const NOTHING: readonly string[] = [];

/** A stage that looks at each token by itself; `index` counts tokens from 0. */
export function tokenStage(convert: (token: string, index: number) => string): DecoderStage {
  return {
    alone: (token) => convert(token, Number.POSITIVE_INFINITY),
    start() {
      let index = 0;
      return { push: (token) => [convert(token, index++)], end: () => NOTHING };
    },
  };
}

/** Takes up to `count` leading `character`s off a text that arrives in pieces. */
export function leadingStripStage(character: string, count: number): DecoderStage {
  return {
    alone: (token) => token,
    start() {
      let left = count;
      const push = (piece: string): readonly string[] => {
        let text = piece;
        while (left > 0 && text !== "") {
          if (text.startsWith(character)) text = text.slice(character.length);
          else left = 1;
          left--;
        }
        return [text];
      };
      return { push, end: () => NOTHING };
    },
  };
}

/**
 * Tokens `<0xE4>` are bytes. A run of them is text when all of it is UTF-8, and otherwise one U+FFFD per byte: so says
 * the reference, and so nothing of a run is certain before the run ends.
 */
export function byteFallbackStage(): DecoderStage {
  return {
    alone(token) {
      const byte = fallbackByte(token);
      return byte === undefined ? token : Uint8Array.of(byte);
    },
    start() {
      let run: number[] = [];
      const end = (): readonly string[] => {
        if (run.length === 0) return NOTHING;
        const text = decodeRun(Uint8Array.from(run));
        run = [];
        return [text];
      };
      const push = (token: string): readonly string[] => {
        const byte = fallbackByte(token);
        if (byte === undefined) return [...end(), token];
        run.push(byte);
        return NOTHING;
      };
      return { push, end };
    },
  };
}

const FALLBACK = /^<0x([0-9A-Fa-f]{2})>$/;

function fallbackByte(token: string): number | undefined {
  const digits = FALLBACK.exec(token)?.[1];
  return digits === undefined ? undefined : Number.parseInt(digits, 16);
}

function decodeRun(run: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(run);
  } catch {
    return "\uFFFD".repeat(run.length); // Not UTF-8: an expected outcome, see above.
  }
}

/** Byte-level BPE: each character of a token stands for one byte, and the bytes of all tokens together are UTF-8. */
export function byteLevelStage(): DecoderStage {
  return {
    alone: byteLevelBytes,
    start() {
      const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
      const end = () => [decoder.decode()];
      return { push: (token) => [decoder.decode(byteLevelBytes(token), { stream: true })], end };
    },
  };
}

/** A token with any character outside of the alphabet (an added token) stands for itself. */
function byteLevelBytes(token: string): Uint8Array {
  const bytes = new Uint8Array(token.length);
  for (let index = 0; index < token.length; index++) {
    const byte = BYTE_OF.get(token.charCodeAt(index));
    if (byte === undefined) return new TextEncoder().encode(token);
    bytes[index] = byte;
  }
  return bytes;
}

/** GPT-2's alphabet: visible Latin-1 characters stand for their own byte, the other bytes follow from U+0100 on. */
const BYTE_OF: ReadonlyMap<number, number> = new Map(byteAlphabet());

function byteAlphabet(): [code: number, byte: number][] {
  const alphabet: [number, number][] = [];
  let next = 0x100;
  for (let byte = 0; byte < 256; byte++) {
    const visible = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    alphabet.push([visible ? byte : next++, byte]);
  }
  return alphabet;
}
