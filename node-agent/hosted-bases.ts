import { type BaseDigest, Fault } from "#kernel";
import type { BaseHost } from "./base-host.ts";

/** Makes the host of a base; see {@link BaseHost.start}. */
export type StartHost = (base: { readonly name: string; readonly directory: string }) => Promise<BaseHost>;

/** The bases of this node. More than a few engines on one machine only take each other's cores. */
const BASES_MAX = 16;

export class HostedBases implements AsyncDisposable {
  readonly #start: StartHost;
  readonly #onChange: () => void;
  readonly #hosts = new Map<BaseDigest, BaseHost>();
  /** One base at a time: two loads at once would need twice the memory of the larger. */
  #attaching: Promise<unknown> = Promise.resolve();

  constructor(start: StartHost, onChange: () => void) {
    this.#start = start;
    this.#onChange = onChange;
  }

  all(): readonly BaseHost[] {
    return [...this.#hosts.values()];
  }

  /** @throws Fault model_unknown */
  get(digest: string): BaseHost {
    const host = this.#hosts.get(digest as BaseDigest);
    if (host) return host;
    throw new Fault("model_unknown", "the base is not on this node", { detail: { field: "base_digest" } });
  }

  /** Loads a base. Idempotent. @throws Fault resource_exists when the name is another base's; what reading the folder throws. */
  attach(name: string, directory: string): Promise<BaseHost> {
    const attached = this.#attaching.then(() => this.#attach(name, directory));
    this.#attaching = attached.catch(() => undefined); // Its own caller is told; the next in line starts anew.
    return attached;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#attaching;
    await Promise.all(this.all().map((host) => host[Symbol.asyncDispose]()));
  }

  async #attach(name: string, directory: string): Promise<BaseHost> {
    const named = this.all().find((host) => host.info.name === name);
    if (named?.directory === directory) return named;
    if (named)
      throw new Fault("resource_exists", `the base ${name} is loaded from another folder`, { detail: { field: "name", resource: name } });
    if (this.#hosts.size >= BASES_MAX) throw new Fault("capacity_exhausted", `this node has ${BASES_MAX} bases already`);
    const host = await this.#start({ name, directory });
    const twin = this.#hosts.get(host.info.digest);
    if (twin) {
      await host[Symbol.asyncDispose]();
      return twin;
    }
    this.#hosts.set(host.info.digest, host);
    this.#onChange();
    return host;
  }
}
