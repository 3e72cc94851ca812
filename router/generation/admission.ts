import {
  asRequestId,
  asTenantId,
  type Clock,
  deadlineSignal,
  Fault,
  MINUTE,
  type Millis,
  type Random,
  type RequestId,
  type TenantId,
} from "#kernel";
import { type NameSources, resolveModel, type Target } from "../catalog/index.ts";
import type { Principal } from "../contract.ts";
import type { PlacementAsk } from "./dispatcher.ts";
import type { ClaimFacts } from "./request-meter.ts";
import type { RequestSize } from "./request-size.ts";
import type { RequestSlots } from "./request-slots.ts";

/** No request lives longer, whatever its client allows: a row that runs for ten minutes is stuck or unwanted. */
const REQUEST_MS_MAX: Millis = 10 * MINUTE;
/** Until there are price books, all usage is of one version. */
const PRICE_VERSION = 1;
/** Who is billed when an operator, who has no tenant, asks a plain base. No tenant may be called so. */
export const OPERATOR_TENANT: TenantId = asTenantId("operator");

/** A request that was let in. Dispose it when it has ended. */
export interface Admission extends Disposable {
  readonly requestId: RequestId;
  readonly target: Target;
  readonly ask: PlacementAsk;
  /** Aborts as the client's does, and at the router's own deadline. */
  readonly signal: AbortSignal;
  readonly claimFacts: ClaimFacts;
  /** What every message to a node about this request says. */
  readonly nodeFields: {
    readonly requestId: string;
    readonly tenantId: string;
    readonly baseDigest: string;
    readonly delta: Target["delta"];
    readonly priceVersion: number;
    readonly admittedAtMs: number;
  };
  /** The request waits no longer. Idempotent. */
  readonly firstToken: () => void;
}

export interface AdmissionDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly names: NameSources;
  readonly slots: RequestSlots;
}

/** Lets a request in. @throws Fault model_unknown, queue_full or shutting_down; never waits */
export function admit(deps: AdmissionDeps, principal: Principal, model: string, size: RequestSize, clientSignal: AbortSignal): Admission {
  const requestId = newRequestId(deps.random);
  const target = resolveModel(deps.names, principal, model, requestId);
  // An operator acts on behalf of the delta's owner.
  const tenantId = principal.tenantId ?? target.delta?.tenantId ?? OPERATOR_TENANT;
  const slot = deps.slots.take(tenantId);
  const late = () => new Fault("deadline_passed", `the request took longer than ${REQUEST_MS_MAX / 1000} s`);
  const deadline = deadlineSignal(deps.clock, REQUEST_MS_MAX, late, clientSignal);
  const admittedAt = deps.clock.now();
  const { baseDigest, delta } = target;
  return {
    requestId,
    target,
    ask: {
      ...size,
      tenantId,
      baseDigest,
      deltaDigest: delta?.digest,
      ...(target.deltaRank !== undefined && { deltaRank: target.deltaRank }),
    },
    signal: deadline.signal,
    claimFacts: {
      requestId,
      tenantId,
      keyId: principal.keyId,
      baseDigest,
      ...(delta && { deltaDigest: delta.digest }),
      model,
      priceVersion: PRICE_VERSION,
      admittedAt,
    },
    nodeFields: { requestId, tenantId, baseDigest, delta, priceVersion: PRICE_VERSION, admittedAtMs: admittedAt },
    firstToken: () => slot.served(),
    [Symbol.dispose]() {
      deadline[Symbol.dispose]();
      slot[Symbol.dispose]();
    },
  };
}

function newRequestId(random: Random): RequestId {
  const half = () => random.bits().toString(16).padStart(16, "0");
  return asRequestId(`req_${half()}${half()}`);
}
