import { configureTextEncoding } from "@bufbuild/protobuf/wire";
import type { ServiceDefinition } from "@grpc/grpc-js";
import type { Definition } from "./serve.ts";

/** Stands in for a request whose bytes could not be read, so that the handler's adapter can answer with a fault. */
export class Malformed {
  readonly why: string;

  constructor(why: string) {
    this.why = why;
  }
}

/**
 * The definition with request readers that never throw. grpc-js answers a throwing reader with INTERNAL, as if it were
 * our defect; bytes that are no valid message are the client's.
 */
export function strictDefinition(definition: Definition): ServiceDefinition {
  refuseInvalidUtf8();
  return Object.fromEntries(Object.entries(definition).map(([name, method]) => [name, strictMethod(method)]));
}

function strictMethod(method: Definition[string]): Definition[string] {
  const read = method.requestDeserialize;
  return {
    ...method,
    requestDeserialize: (bytes: Buffer) => {
      try {
        return read(bytes);
      } catch (error) {
        return new Malformed(`the message is not valid protobuf: ${error instanceof Error ? error.message : String(error)}`);
      }
    },
  };
}

/** Protobuf strings from the wire are not checked by default: two byte strings could become one name. */
function refuseInvalidUtf8(): void {
  const encoder = new TextEncoder();
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  configureTextEncoding({
    encodeUtf8: (text) => encoder.encode(text),
    encodeUtf8Into: (text, bytes) => encoder.encodeInto(text, bytes),
    decodeUtf8: (bytes) => decoder.decode(bytes),
    checkUtf8: (text) => text.isWellFormed(),
  });
}
