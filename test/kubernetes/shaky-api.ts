import { type Clock, Fault, type Millis, type Random } from "#kernel";
import type { KubernetesApi, KubernetesObject, Resource, Written } from "#kubernetes";
import { BUILT_IN_KINDS } from "./api-server/built-in-kinds.ts";
import type { StoredObject } from "./api-server/kind.ts";
import type { ObjectStore } from "./api-server/object-store.ts";
import { StatusError } from "./api-server/status-error.ts";

/** What lies between one client and the server now. Whatever is on its way arrives, however late. */
export interface Weather {
  /** Of requests and of answers, each drawn from 0 to twice this. */
  delayMs: Millis;
  /** Of requests, and of answers, how many never arrive. */
  lossShare: number;
}

/**
 * One client's way to an {@link ObjectStore} in this process, through weather, on a virtual clock. What the caller gave
 * up on is still on its way, and is done when it arrives.
 */
export function shakyApi(store: ObjectStore, clock: Clock, random: Random, weather: Weather): KubernetesApi {
  const NAMESPACE = "default";
  const kindOf = ({ plural }: Resource) => BUILT_IN_KINDS.find((kind) => kind.plural === plural)!;
  const travel = async () => {
    const lost = random.float() < weather.lossShare;
    await clock.after(lost ? Number.MAX_SAFE_INTEGER : random.float() * 2 * weather.delayMs);
  };
  const call = async <T>(signal: AbortSignal | undefined, work: () => T): Promise<T> => {
    const { promise: over, reject } = Promise.withResolvers<never>();
    const giveUp = () => reject(signal?.reason ?? new Fault("store_unreachable", "given up"));
    if (signal?.aborted) giveUp();
    signal?.addEventListener("abort", giveUp, { once: true });
    const answered = (async () => {
      await travel();
      const answer = attempt(work);
      await travel();
      return answer();
    })();
    return Promise.race([answered, over]);
  };
  const write = (signal: AbortSignal | undefined, work: () => StoredObject): Promise<Written> =>
    call(signal, (): Written => {
      try {
        return { kind: "written", object: work() as KubernetesObject };
      } catch (error) {
        if (error instanceof StatusError && error.code === 409) return { kind: "conflict" };
        if (error instanceof StatusError && error.code === 404) return { kind: "absent" };
        throw error;
      }
    });
  const unused = () => Promise.reject(new Error("leases do not need it"));
  return {
    namespace: NAMESPACE,
    get: (resource, name, signal) =>
      call(
        signal,
        () => store.list(kindOf(resource), NAMESPACE).find(({ metadata }) => metadata.name === name) as KubernetesObject | undefined,
      ),
    create: (resource, object, signal) => write(signal, () => store.create(kindOf(resource), NAMESPACE, object as StoredObject)),
    replace: (resource, part, object, signal) =>
      write(signal, () => store.replace(kindOf(resource), NAMESPACE, object.metadata.name, object as StoredObject, part)),
    list: unused,
    remove: unused,
    watch: () => {
      throw new Error("leases do not need it");
    },
    [Symbol.asyncDispose]: async () => undefined,
  };
}

/** Done when the request arrives, told when the answer does. */
function attempt<T>(work: () => T): () => T {
  try {
    const value = work();
    return () => value;
  } catch (error) {
    return () => {
      throw error;
    };
  }
}
