import type { KeyId, Millis, ProjectId, RequestId, TenantId, TraceContext } from "#kernel";
import type {
  CountTokensRequest,
  CountTokensResponse,
  GenerateRequest,
  GenerateResponse,
  Model,
  ScoreRequest,
  ScoreResponse,
} from "#proto";
import type { MeterState } from "#state";

export type KeyScope = "infer" | "train" | "admin";

/** Who a credential belongs to. An operator (scope admin, no tenant) sees everything. */
export interface Principal {
  readonly keyId: KeyId;
  readonly tenantId: TenantId | undefined;
  /** Undefined for an operator. */
  readonly projectId: ProjectId | undefined;
  readonly scopes: ReadonlySet<KeyScope>;
}

/** What a caller may be told of a request once it has been let in, or just before it is refused for one of its limits. */
export interface Admitted {
  readonly requestId: RequestId;
  /** What is left of the tenant's limits: `requests`, `tokens_in`, `tokens_out`; with their sizes. */
  readonly meters: readonly (MeterState & { readonly limit: number })[];
}

/** What a door may know of a request besides its message. */
export interface DoorContext {
  /** The door's own, never used before; without it the core makes one, and with an idempotency key it always does. */
  readonly requestId?: RequestId | undefined;
  /** When the client gives up, in milliseconds since the epoch: what can't be served by then is refused at once. */
  readonly deadlineAt?: Millis | undefined;
  /** The caller's own span. */
  readonly trace?: TraceContext | undefined;
}

/**
 * What both front doors, gRPC and HTTP, do for a caller: everything from the credential to the bill, in the wire's own
 * messages. The doors only translate shapes.
 */
export interface InferenceCore {
  /** @throws Fault key_missing or key_unknown, the same for malformed, unknown, expired and revoked. */
  authenticate(credential: string | undefined): Promise<Principal>;
  /** Throws before the first message for anything the caller could have known; each message carries cumulative usage. */
  generate(
    principal: Principal,
    request: GenerateRequest,
    signal: AbortSignal,
    onAdmitted?: (admitted: Admitted) => void,
    context?: DoorContext,
  ): AsyncIterable<GenerateResponse>;
  score(
    principal: Principal,
    request: ScoreRequest,
    signal: AbortSignal,
    onAdmitted?: (admitted: Admitted) => void,
    context?: DoorContext,
  ): Promise<ScoreResponse>;
  countTokens(principal: Principal, request: CountTokensRequest, signal: AbortSignal): Promise<CountTokensResponse>;
  listModels(principal: Principal): Promise<readonly Model[]>;
  /** @throws Fault model_unknown, the same for a foreign model. */
  getModel(principal: Principal, name: string): Promise<Model>;
  /** Whether a request could be served now. */
  ready(): boolean;
}
