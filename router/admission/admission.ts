import { asTenantId, type Claim, type Clock, deadlineSignal, Fault, MINUTE, type Millis, type RequestId, type TenantId } from "#kernel";
import type { Prompt, Sampling } from "#proto";
import { type NameSources, resolveModel, STANDARD_PLAN, type Target, type TenantRecord } from "../catalog/index.ts";
import type { Principal } from "../contract.ts";
import type { Access } from "../keys/index.ts";
import { priceVersionAt, ratesOf } from "../prices/index.ts";
import type { PlacementAsk } from "./placement.ts";
import { promptTokensMax, requestSize } from "./request-size.ts";
import type { RequestSlots } from "./request-slots.ts";
import { type LimitedRequest, withinTokenLimit } from "./tenant-limits.ts";

/** No request lives longer, whatever its client allows: a row that runs for ten minutes is stuck or unwanted. */
export const REQUEST_MS_MAX: Millis = 10 * MINUTE;
/** Who is billed when an operator, who has no tenant, asks a plain base. No tenant may be called so. */
export const OPERATOR_TENANT: TenantId = asTenantId("operator");

/** What stays the same in all claims of a request. */
export type ClaimFacts = Omit<Claim, "attempt" | "usage" | "outcome" | "nodeId">;

/** What is asked, after all checks that need nobody's records. */
export interface AdmissionWish {
  readonly requestId: RequestId;
  readonly model: string;
  readonly prompt: Prompt;
  /** Undefined where nothing is generated. */
  readonly sampling: Sampling | undefined;
  /** Without, it is computed beside the batch. */
  readonly takesRow: boolean;
}

/** A request that has a place in this router. Dispose it when it has ended. */
export interface Admission extends Disposable {
  readonly requestId: RequestId;
  readonly target: Target;
  readonly ask: PlacementAsk;
  /** As wished, within the tenant's limit. */
  readonly sampling: Sampling | undefined;
  /** Aborts as the client's does, at the router's own deadline, and when the key or its tenant loses access. */
  readonly signal: AbortSignal;
  readonly claimFacts: ClaimFacts;
  /** What every message to a node about this request says. */
  readonly nodeFields: {
    readonly requestId: string;
    readonly tenantId: string;
    readonly baseDigest: string;
    readonly baseName: string;
    readonly delta: Target["delta"];
    readonly priceVersion: number;
    readonly admittedAtMs: number;
  };
  /** What its tenant's limits have to know; undefined for an operator, who has none. */
  readonly limited: LimitedRequest | undefined;
  /** The request waits no longer. Idempotent. */
  readonly firstToken: () => void;
}

export interface AdmissionDeps {
  readonly clock: Clock;
  readonly names: NameSources;
  readonly access: Access;
  readonly slots: RequestSlots;
}

/** Gives a request its place; never waits. @throws Fault model_unknown, parameter_invalid, queue_full or shutting_down */
export function admit(deps: AdmissionDeps, principal: Principal, wish: AdmissionWish, clientSignal: AbortSignal): Admission {
  const { requestId, model, prompt } = wish;
  const { view } = deps.names;
  const target = resolveModel(deps.names, principal, model, requestId);
  const { baseDigest, baseName, delta, deltaRank } = target;
  // An operator acts on behalf of the delta's owner.
  const tenantId = principal.tenantId ?? delta?.tenantId ?? OPERATOR_TENANT;
  const tenant = view.get("tenant", tenantId);
  const sampling = wish.sampling && withinTokenLimit(tenant, wish.sampling);
  const size = requestSize(prompt, sampling);
  const slot = deps.slots.take(tenantId);
  const late = () => new Fault("deadline_passed", `the request took longer than ${REQUEST_MS_MAX / 1000} s`);
  const access = deps.access.watch(principal);
  const deadline = deadlineSignal(deps.clock, REQUEST_MS_MAX, late);
  const admittedAt = deps.clock.now();
  const priceVersion = priceVersionAt(view, tenant?.pricePlan ?? STANDARD_PLAN, admittedAt);
  return {
    requestId,
    target,
    ask: {
      ...{ ...size, rows: wish.takesRow ? size.rows : 0 },
      ...{ tenantId, baseDigest, baseName, deltaDigest: delta?.digest, ...(deltaRank !== undefined && { deltaRank }) },
    },
    sampling,
    signal: AbortSignal.any([clientSignal, access.signal, deadline.signal]),
    claimFacts: {
      ...{ requestId, tenantId, keyId: principal.keyId, baseDigest, baseName, model, priceVersion, admittedAt },
      ...(principal.projectId !== undefined && { projectId: principal.projectId }),
      ...(delta && { deltaDigest: delta.digest }),
    },
    nodeFields: { requestId, tenantId, baseDigest, baseName, delta, priceVersion, admittedAtMs: admittedAt },
    limited: tenant && limitedRequest(deps.names, { tenant, requestId, admittedAt, prompt, size, baseName, priceVersion }),
    firstToken: () => slot.served(),
    [Symbol.dispose]() {
      deadline[Symbol.dispose]();
      access[Symbol.dispose]();
      slot[Symbol.dispose]();
    },
  };
}

function limitedRequest(
  { view, bases }: NameSources,
  request: Pick<LimitedRequest, "requestId" | "admittedAt"> & {
    readonly tenant: TenantRecord;
    readonly prompt: Prompt;
    readonly size: ReturnType<typeof requestSize>;
    readonly baseName: string;
    readonly priceVersion: number;
  },
): LimitedRequest {
  const { tenant, requestId, admittedAt, prompt, size, baseName } = request;
  const contextTokensMax = bases.find(baseName)?.contextTokensMax ?? Number.MAX_SAFE_INTEGER;
  return {
    ...{ tenant, requestId, admittedAt, promptTokensEstimate: size.promptTokensEstimate },
    promptTokensMax: tenant.budget ? promptTokensMax(prompt, contextTokensMax) : 0, // Reads the whole prompt.
    completionTokensMax: Math.min(size.maxTokens, contextTokensMax) * size.rows,
    rates: ratesOf(view.get("price", String(request.priceVersion)), baseName),
  };
}
