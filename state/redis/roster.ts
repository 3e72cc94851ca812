import type { Millis, PeerAddress } from "#kernel";

interface Known extends PeerAddress {
  readonly kind: string;
}

/** Who is in the registry, as one process knows it, and whom it tells. */
export class Roster {
  readonly #termMs: Millis;
  /** By `<kind> <name>`. Undefined before the registry was heard. */
  #known: ReadonlyMap<string, Known> | undefined;
  #news = Promise.withResolvers<void>();

  /** @param termMs within which everybody is heard who is there */
  constructor(termMs: Millis) {
    this.#termMs = termMs;
  }

  /**
   * Takes what the registry says: member, address and draining, again and again. While it has not yet been there for a
   * whole term, who is missing may only not have come back to it, and stays.
   *
   * @param sinceMs for how long the registry has been hearing its members
   */
  learn(reply: readonly string[], sinceMs: Millis): void {
    const said = new Map<string, Known>();
    for (let at = 0; at < reply.length; at += 3) {
      const [member, address, draining] = reply.slice(at, at + 3) as [string, string, string];
      said.set(member, { kind: member.slice(0, member.indexOf(" ")), address, draining: draining === "1" });
    }
    if (sinceMs < this.#termMs) for (const [member, known] of this.#known ?? []) if (!said.has(member)) said.set(member, known);
    this.#known = said;
    this.#ring();
  }

  /** The peers of this kind, whenever they are others than before, until the signal aborts. */
  async *watch(kind: string, signal: AbortSignal): AsyncGenerator<readonly PeerAddress[]> {
    signal.addEventListener("abort", () => this.#ring(), { once: true });
    let told: string | undefined;
    while (!signal.aborted) {
      const news = this.#news.promise;
      const peers = this.#known && peersOf(this.#known.values(), kind);
      const text = JSON.stringify(peers);
      if (peers && text !== told) {
        told = text;
        yield peers;
      } else await news;
    }
  }

  #ring(): void {
    this.#news.resolve();
    this.#news = Promise.withResolvers();
  }
}

/** Each address once, in order. Of two members at one address, one that does not drain wins. */
function peersOf(members: Iterable<Known>, kind: string): readonly PeerAddress[] {
  const peers = new Map<string, PeerAddress>();
  for (const { kind: its, address, draining } of members)
    if (its === kind) peers.set(address, { address, draining: draining && (peers.get(address)?.draining ?? true) });
  return [...peers.values()].sort((one, other) => (one.address < other.address ? -1 : 1));
}
