import { Fault } from "#kernel";

/** Deeper than any request that a client has a reason to send; what walks a body later may then recurse. */
const DEPTH_MAX = 64;

const UTF8 = new TextDecoder("utf-8", { fatal: true });
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
/** Of the codes of `[` and `{`, and of `]` and `}`, with the one bit set in which they differ. */
const OPENING = 0x7b;
const CLOSING = 0x7d;
const BRACE_BIT = 0x20;

/** The value of a JSON body. Of a key that stands twice the last counts. @throws Fault message_malformed */
export function parseJsonBody(bytes: Buffer): unknown {
  if (bytes.length === 0) throw malformed("the body is empty");
  if (nestedDeeper(bytes, DEPTH_MAX)) throw malformed(`the body is nested more than ${DEPTH_MAX} deep`);
  let text: string;
  try {
    text = UTF8.decode(bytes);
  } catch (cause) {
    throw malformed("the body is not valid UTF-8", cause);
  }
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw malformed("the body is not valid JSON", cause);
  }
}

/** Counts brackets outside of strings, before anything is built from them. */
function nestedDeeper(bytes: Buffer, depthMax: number): boolean {
  let depth = 0;
  let inString = false;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]!;
    if (inString) {
      if (byte === BACKSLASH) at++;
      else if (byte === QUOTE) inString = false;
    } else if (byte === QUOTE) inString = true;
    else if ((byte | BRACE_BIT) === OPENING && ++depth > depthMax) return true;
    else if ((byte | BRACE_BIT) === CLOSING) depth--;
  }
  return false;
}

function malformed(message: string, cause?: unknown): Fault {
  return new Fault("message_malformed", message, { cause });
}
