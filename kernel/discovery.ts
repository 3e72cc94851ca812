/** Where a peer of another kind is called: a router's scheduler, a node's router. */
export interface PeerAddress {
  /** `host:port` */
  readonly address: string;
  /** It goes away soon: who has a choice asks somebody else first. */
  readonly draining: boolean;
}

/** Says where the peers are, again whenever that changes. Never fails and never ends before the signal aborts: old news beats none. */
export interface Discovery {
  watch(signal: AbortSignal): AsyncIterable<readonly PeerAddress[]>;
}

/** A fixed list of `host:port`, or somebody who finds them. */
export type Addresses = readonly string[] | Discovery;

/** Beyond this something makes up addresses; each is a connection. */
const PEERS_MAX = 1_000;

/** What is kept for each peer: a channel, a watch, a stream of reports. Iterates over those that are there now, who drains last. */
export interface Peers<T> extends Iterable<T>, AsyncDisposable {}

/**
 * Opens a `T` for each peer that appears and disposes it when the peer is gone. Those of a fixed list are there at once.
 * When nobody is left, those who were there last are kept: that is more often a sick registry than an empty cluster.
 */
export function followPeers<T extends AsyncDisposable>(addresses: Addresses, open: (address: string) => T): Peers<T> {
  const stop = new AbortController();
  const opened = new Map<string, T>();
  const closing = new Set<Promise<void>>();
  let order: readonly string[] = [];

  const close = (address: string, peer: T) => {
    opened.delete(address);
    const closed: Promise<void> = Promise.resolve(peer[Symbol.asyncDispose]()).finally(() => closing.delete(closed));
    closing.add(closed);
  };
  const apply = (peers: readonly PeerAddress[]) => {
    if (peers.length === 0) return;
    const sorted = [...peers].sort((one, other) => Number(one.draining) - Number(other.draining));
    order = [...new Set(sorted.map(({ address }) => address))].slice(0, PEERS_MAX);
    for (const address of order) if (!opened.has(address)) opened.set(address, open(address));
    const wanted = new Set(order);
    for (const [address, peer] of opened) if (!wanted.has(address)) close(address, peer);
  };
  const follow = async (discovery: Discovery) => {
    for await (const peers of discovery.watch(stop.signal)) apply(peers);
  };

  let following: Promise<void> | undefined;
  if (isDiscovery(addresses)) following = follow(addresses);
  else apply(addresses.map((address) => ({ address, draining: false })));
  return {
    [Symbol.iterator]: () => order.map((address) => opened.get(address)!)[Symbol.iterator](),
    async [Symbol.asyncDispose]() {
      stop.abort();
      await following;
      for (const [address, peer] of opened) close(address, peer);
      order = [];
      await Promise.all(closing);
    },
  };
}

/** One discovery of everybody whom any of several finds, in their order. */
export function joinDiscoveries(discoveries: readonly Discovery[]): Discovery {
  return {
    async *watch(signal) {
      const found = discoveries.map((): readonly PeerAddress[] => []);
      let changed = Promise.withResolvers<void>();
      const following = discoveries.map(async (discovery, index) => {
        for await (const peers of discovery.watch(signal)) {
          found[index] = peers;
          changed.resolve();
        }
      });
      const over = Promise.all(following).then(() => changed.resolve());
      while (!signal.aborted) {
        await changed.promise;
        changed = Promise.withResolvers();
        if (!signal.aborted) yield found.flat();
      }
      await over;
    },
  };
}

/** A list as a discovery, for {@link joinDiscoveries}. */
export function fixedDiscovery(addresses: readonly string[]): Discovery {
  return {
    async *watch(signal) {
      yield addresses.map((address) => ({ address, draining: false }));
      const { promise, resolve } = Promise.withResolvers<void>();
      signal.addEventListener("abort", () => resolve(), { once: true });
      if (!signal.aborted) await promise;
    },
  };
}

function isDiscovery(addresses: Addresses): addresses is Discovery {
  return "watch" in addresses;
}
