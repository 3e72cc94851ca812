import type { KeyId, TenantId } from "#kernel";
import type {
  CountTokensRequest,
  CountTokensResponse,
  GenerateRequest,
  GenerateResponse,
  Model,
  ScoreRequest,
  ScoreResponse,
} from "#proto";

export type KeyScope = "infer" | "train" | "admin";

/** Who a credential belongs to. An operator (scope admin, no tenant) sees everything. */
export interface Principal {
  readonly keyId: KeyId;
  readonly tenantId: TenantId | undefined;
  readonly scopes: ReadonlySet<KeyScope>;
}

/**
 * What both front doors, gRPC and HTTP, do for a caller: everything from the credential to the bill, in the wire's own
 * messages. The doors only translate shapes.
 */
export interface InferenceCore {
  /** @throws Fault key_missing or key_unknown, the same for malformed, unknown, expired and revoked. */
  authenticate(credential: string | undefined): Promise<Principal>;
  /** Throws before the first message for anything the caller could have known; each message carries cumulative usage. */
  generate(principal: Principal, request: GenerateRequest, signal: AbortSignal): AsyncIterable<GenerateResponse>;
  score(principal: Principal, request: ScoreRequest, signal: AbortSignal): Promise<ScoreResponse>;
  countTokens(principal: Principal, request: CountTokensRequest, signal: AbortSignal): Promise<CountTokensResponse>;
  listModels(principal: Principal): Promise<readonly Model[]>;
  /** @throws Fault model_unknown, the same for a foreign model. */
  getModel(principal: Principal, name: string): Promise<Model>;
  /** Whether a request could be served now. */
  ready(): boolean;
}
