/** What a client asks for. One choice: what is checked is who pays for what, and that is per request. */
export interface Ask {
  readonly model: string;
  readonly prompt: string;
  readonly maxTokens: number;
  /** 0 is greedy. */
  readonly temperature: number;
  readonly seed: number;
  /** Goes on after the end token, so that the number of tokens is known. */
  readonly ignoreEos?: boolean;
  readonly idempotencyKey?: string;
}

/** When a client goes away in the middle. */
export type Leaving = { readonly afterPieces: number } | { readonly afterMs: number };

/** One call, as its client saw it. */
export interface Attempt {
  /** Undefined when the client never heard of one. */
  readonly requestId: string | undefined;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  readonly endedAt: number;
  /** From the call to the first piece; undefined when none came. */
  readonly firstPieceMs: number | undefined;
  readonly text: string;
  /** One entry per token; HTTP tells no token ids. */
  readonly tokenIds: readonly number[] | undefined;
  /** Of the last piece that told it. */
  readonly usage: UsageTold | undefined;
  readonly ending: "completed" | "cancelled" | "failed";
  readonly fault: FaultTold | undefined;
  /** What no server may do: gaps in the count, pieces after the end, a request that changes its id. */
  readonly breaches: readonly string[];
}

export interface UsageTold {
  readonly promptTokens: number;
  readonly cachedTokens: number;
  readonly completionTokens: number;
}

export interface FaultTold {
  /** gRPC's code in our words, or HTTP's status. */
  readonly code: string;
  readonly reason: string;
  readonly message: string;
  /** What the server advises: milliseconds, or undefined for none. */
  readonly waitMs: number | undefined;
}

/** Who hung up, as the reason of the client's own cancel. */
export const LEFT = new Error("the client left");

/** Collects what one call yields, and notes what a server may not do. */
export class AttemptRecorder {
  readonly #startedAt = Date.now();
  readonly #startedMs = performance.now();
  readonly #breaches: string[] = [];
  #requestId: string | undefined;
  #firstPieceMs: number | undefined;
  #text = "";
  #finished = false;
  #usage: UsageTold | undefined;
  #tokenIds: number[] | undefined;

  request(id: string | undefined): void {
    if (this.#requestId !== undefined && id !== this.#requestId) this.#breaches.push(`the request ${this.#requestId} became ${id}`);
    this.#requestId = id;
  }

  piece(piece: {
    readonly text: string;
    readonly tokenIds?: readonly number[];
    readonly usage?: UsageTold;
    readonly finished: boolean;
  }): void {
    this.#firstPieceMs ??= performance.now() - this.#startedMs;
    if (this.#finished) this.#breaches.push("a piece came after the last one");
    this.#finished ||= piece.finished;
    this.#text += piece.text;
    if (piece.tokenIds) {
      this.#tokenIds ??= [];
      this.#tokenIds.push(...piece.tokenIds);
    }
    if (piece.usage) this.usage(piece.usage);
  }

  usage(usage: UsageTold): void {
    const { promptTokens, cachedTokens, completionTokens } = usage;
    this.#usage = { promptTokens, cachedTokens, completionTokens };
    if (this.#tokenIds && completionTokens !== this.#tokenIds.length)
      this.#breaches.push(`${this.#tokenIds.length} tokens came, and the usage beside them says ${completionTokens}`);
  }

  end(ending: Attempt["ending"], fault?: FaultTold): Attempt {
    if (ending === "completed" && !this.#finished) this.#breaches.push("the stream ended well, but no piece said that it was the last");
    return {
      requestId: this.#requestId,
      startedAt: this.#startedAt,
      endedAt: Date.now(),
      firstPieceMs: this.#firstPieceMs,
      text: this.#text,
      tokenIds: this.#tokenIds,
      usage: this.#usage,
      ending,
      fault,
      breaches: this.#breaches,
    };
  }
}
