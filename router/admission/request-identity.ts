import { asRequestId, type Clock, Fault, type Random, type RequestId, sha256Hex } from "#kernel";
import { GenerateRequest } from "#proto";
import type { Principal } from "../contract.ts";
import { newRequestId } from "../request-id.ts";
import { OPERATOR_TENANT } from "./admission.ts";

/** A question that is answered once, however often it is asked. */
export interface Question {
  /** Whose keys they are: no tenant ever meets another's. */
  readonly account: string;
  readonly key: string;
  /** Of all that was asked, but for the key. */
  readonly digest: string;
}

/** What a request is known by, before anything else is known of it. */
export interface RequestIdentity {
  readonly requestId: RequestId;
  /** For a request that names none. */
  readonly seed: string;
  /** Undefined without an idempotency key. */
  readonly question: Question | undefined;
}

const KEY_PATTERN = /^[\x20-\x7e]{1,255}$/;

/**
 * Id and seed of a request with an idempotency key follow from tenant, key and question: should its first answer be lost
 * with all that was known of it, a repetition still gives the same text under the same id, and the ledger merges the two
 * into one charge.
 * @throws Fault parameter_invalid for a malformed key
 */
export function identify(
  deps: { readonly clock: Clock; readonly random: Random },
  principal: Principal,
  request: GenerateRequest,
  given: RequestId | undefined,
): RequestIdentity {
  const key = request.idempotencyKey;
  if (key === "") return { requestId: given ?? newRequestId(deps), seed: deps.random.bits().toString(), question: undefined };
  if (!KEY_PATTERN.test(key)) {
    throw new Fault("parameter_invalid", "idempotency_key must have 1 to 255 printable ASCII characters", {
      detail: { field: "idempotency_key" },
    });
  }
  const account = principal.tenantId ?? OPERATOR_TENANT;
  const digest = sha256Hex(GenerateRequest.encode({ ...request, idempotencyKey: "" }).finish());
  const bits = sha256Hex(["deltaplane.request.v1", account, key, digest].map((line) => `${line}\n`).join(""));
  return {
    requestId: asRequestId(`req_${bits.slice(0, 32)}`),
    seed: BigInt(`0x${bits.slice(32, 48)}`).toString(),
    question: { account, key, digest },
  };
}
