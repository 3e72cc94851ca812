/** What the load client is told: JSON on its standard input. */
export interface LoadPlan {
  /** `http://host:port` */
  readonly url: string;
  readonly key: string;
  /** Requests at the same time; the next one starts when one ends. */
  readonly inFlight: number;
  readonly requests: readonly LoadRequest[];
}

export interface LoadRequest {
  readonly model: string;
  readonly prompt: string;
  readonly maxTokens: number;
}

/** What it found: JSON on its standard output. Times count from the start of the load. */
export interface LoadResult {
  readonly requests: readonly TimedRequest[];
}

export interface TimedRequest {
  readonly startedMs: number;
  readonly endedMs: number;
  /** When each piece of text arrived. Usually one token; a token that ends no character yet brings none. */
  readonly piecesMs: readonly number[];
  /** As the server counted. */
  readonly promptTokens: number;
  readonly completionTokens: number;
}
