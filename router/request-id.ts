import { asRequestId, type Clock, type Random, type RequestId } from "#kernel";

/**
 * 32 hexadecimal digits: the time in milliseconds, then 80 random bits. Ids that grow with time let a store append where
 * random ones would touch a page of their own each.
 */
export function newRequestId({ clock, random }: { readonly clock: Clock; readonly random: Random }): RequestId {
  const time = Math.floor(clock.now()).toString(16).padStart(12, "0");
  const chance = ((random.bits() << 16n) | (random.bits() & 0xffffn)).toString(16).padStart(20, "0");
  return asRequestId(`req_${time}${chance}`);
}

/** One request at a door may ask several things of the core: each is a part of it, with an id of its own. */
export function partOf(requestId: RequestId, index: number): RequestId {
  return asRequestId(`${requestId}-${index}`);
}
