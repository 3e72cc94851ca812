import { Fault, type Millis } from "#kernel";

/** One request of a trace; it says nothing of tenants or models. */
export interface TraceRequest {
  /** From the first request on. */
  readonly atMs: Millis;
  readonly promptTokens: number;
  readonly outputTokens: number;
}

const COLUMNS = ["TIMESTAMP", "ContextTokens", "GeneratedTokens"] as const;

/**
 * Reads the text of a CSV file with a header that has TIMESTAMP (a date, or a number of seconds), ContextTokens and GeneratedTokens,
 * as in Microsoft's AzurePublicDataset. Sorted by time. Throws `parameter_invalid` naming the line.
 */
export function readTrace(text: string): readonly TraceRequest[] {
  const [header = "", ...lines] = text.split(/\r?\n/);
  const names = header.replace(/^\uFEFF/, "").split(",");
  const [time, prompt, output] = COLUMNS.map((column) => {
    const index = names.findIndex((name) => name.trim() === column);
    if (index < 0) throw malformed(1, `has no column ${column}`);
    return index;
  });
  const requests = lines.flatMap((line, index): readonly TraceRequest[] => {
    if (line.trim() === "") return [];
    const cells = line.split(",");
    const atMs = instant(cells[time!]);
    const [promptTokens, outputTokens] = [Number(cells[prompt!]), Number(cells[output!])];
    if (!Number.isFinite(atMs)) throw malformed(index + 2, `TIMESTAMP is no time: ${cells[time!]}`);
    if (!(promptTokens >= 0 && outputTokens >= 0)) throw malformed(index + 2, "ContextTokens and GeneratedTokens must be numbers");
    return [{ atMs, promptTokens: Math.max(1, promptTokens), outputTokens: Math.max(1, outputTokens) }];
  });
  if (requests.length < 2) throw malformed(1, "a trace has at least two requests");
  requests.sort((one, other) => one.atMs - other.atMs);
  const startMs = requests[0]!.atMs;
  return requests.map((request) => ({ ...request, atMs: request.atMs - startMs }));
}

/** A date with up to seven decimals of a second, or seconds. */
function instant(cell: string | undefined): Millis {
  const text = (cell ?? "").trim();
  if (text === "") return Number.NaN;
  const seconds = Number(text);
  if (Number.isFinite(seconds)) return seconds * 1000;
  const [, whole, decimals = "0"] = /^(.*:\d\d)(?:\.(\d+))?(?:Z|\+00:00)?$/.exec(text) ?? [];
  return whole === undefined ? Number.NaN : Date.parse(`${whole.replace(" ", "T")}Z`) + Number(`0.${decimals}`) * 1000;
}

function malformed(line: number, what: string): Fault {
  return new Fault("parameter_invalid", `trace, line ${line}: ${what}`, { detail: { field: "trace" } });
}
