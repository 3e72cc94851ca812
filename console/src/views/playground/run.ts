import { type ReadonlySignal, signal } from "@preact/signals";
import { type ApiFailure, type CallUsage, failureFrom, streamed } from "../../api/index.ts";
import type { Call } from "./call.ts";
import { type Chunk, type Piece, piecesOf, type Token, usageOf } from "./chunk.ts";

export interface Choice {
  readonly text: string;
  /** Empty unless probabilities were asked for. */
  readonly tokens: readonly Token[];
  readonly finish: string | null;
}

/** One call as far as it has come. Times in milliseconds since it was sent. */
export interface RunState {
  readonly status: "waiting" | "streaming" | "done" | "stopped" | "failed";
  readonly choices: readonly Choice[];
  readonly usage: CallUsage | undefined;
  readonly firstTokenMs: number | undefined;
  readonly lastTokenMs: number | undefined;
  readonly failure: ApiFailure | undefined;
}

export interface Run {
  readonly call: Call;
  readonly model: string;
  readonly state: ReadonlySignal<RunState>;
  /** What was made so far stays, and is billed. */
  stop(): void;
}

const BEGUN: RunState = {
  status: "waiting",
  choices: [],
  usage: undefined,
  firstTokenMs: undefined,
  lastTokenMs: undefined,
  failure: undefined,
};

/** Sends a call and follows its answer. */
export function startRun(call: Call): Run {
  const state = signal(BEGUN);
  const stopping = new AbortController();
  void follow(call, stopping.signal, (next) => {
    state.value = next;
  });
  return { call, model: String(call.body["model"]), state, stop: () => stopping.abort() };
}

async function follow(call: Call, signal: AbortSignal, show: (state: RunState) => void): Promise<void> {
  const shown = atMostEachFrame(show);
  const sentAt = performance.now();
  let state = BEGUN;
  try {
    const body = { ...call.body, stream: true, stream_options: { include_usage: true, continuous_usage_stats: true } };
    for await (const chunk of streamed<Chunk>(call.path, body, signal)) {
      state = withChunk(state, chunk, performance.now() - sentAt);
      shown.next(state);
    }
    shown.last({ ...state, status: "done" });
  } catch (error) {
    if (signal.aborted) shown.last({ ...state, status: "stopped" });
    else shown.last({ ...state, status: "failed", failure: failureFrom(error) });
  }
}

function withChunk(state: RunState, chunk: Chunk, atMs: number): RunState {
  const pieces = piecesOf(chunk);
  const spoken = pieces.some(({ text, tokens }) => text !== "" || tokens.length > 0);
  return {
    status: "streaming",
    choices: pieces.reduce(withPiece, state.choices),
    usage: usageOf(chunk) ?? state.usage,
    firstTokenMs: state.firstTokenMs ?? (spoken ? atMs : undefined),
    lastTokenMs: spoken ? atMs : state.lastTokenMs,
    failure: undefined,
  };
}

function withPiece(choices: readonly Choice[], { index, text, tokens, finish }: Piece): readonly Choice[] {
  const known = choices[index] ?? { text: "", tokens: [], finish: null };
  const grown = { text: known.text + text, tokens: [...known.tokens, ...tokens], finish: finish ?? known.finish };
  const next = [...choices];
  while (next.length < index) next.push({ text: "", tokens: [], finish: null });
  next[index] = grown;
  return next;
}

/** Tokens may come faster than a screen shows them: drawn is the latest, once a frame. */
function atMostEachFrame<T>(show: (value: T) => void): { next(value: T): void; last(value: T): void } {
  let latest: T | undefined;
  let frame: number | undefined;
  return {
    next(value) {
      latest = value;
      frame ??= requestAnimationFrame(() => {
        frame = undefined;
        show(latest!);
      });
    },
    last(value) {
      if (frame !== undefined) cancelAnimationFrame(frame);
      show(value);
    },
  };
}
