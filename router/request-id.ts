import { asRequestId, type Random, type RequestId } from "#kernel";

export function newRequestId(random: Random): RequestId {
  const half = () => random.bits().toString(16).padStart(16, "0");
  return asRequestId(`req_${half()}${half()}`);
}

/** One request at a door may ask several things of the core: each is a part of it, with an id of its own. */
export function partOf(requestId: RequestId, index: number): RequestId {
  return asRequestId(`${requestId}-${index}`);
}
