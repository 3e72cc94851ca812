import { describe, expect, it } from "vitest";
import { type Discovery, fixedDiscovery, followPeers, joinDiscoveries, type PeerAddress } from "./discovery.ts";

/** A discovery that a test speaks through. */
function spoken(): { readonly discovery: Discovery; say(...peers: string[]): Promise<void> } {
  const said: (readonly PeerAddress[])[] = [];
  let wake = Promise.withResolvers<void>();
  const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
  return {
    discovery: {
      async *watch(signal) {
        signal.addEventListener("abort", () => wake.resolve());
        while (!signal.aborted) {
          const next = said.shift();
          if (next) yield next;
          else await wake.promise;
        }
      },
    },
    /** `a:1` serves, `a:1!` drains. */
    async say(...peers) {
      said.push(peers.map((peer) => ({ address: peer.replace("!", ""), draining: peer.endsWith("!") })));
      wake.resolve();
      wake = Promise.withResolvers();
      await turn();
      await turn();
    },
  };
}

/** Peers that write down when they come and go. */
function followed(addresses: Parameters<typeof followPeers>[0]) {
  const events: string[] = [];
  const open = (address: string) => {
    events.push(`+${address}`);
    return { address, [Symbol.asyncDispose]: async () => void events.push(`-${address}`) };
  };
  return { events, peers: followPeers(addresses, open) };
}

const addresses = (peers: Iterable<{ readonly address: string }>) => Array.from(peers, ({ address }) => address);

describe("peers", () => {
  it("of a list are there at once, each of them once, and go with it", async () => {
    const { events, peers } = followed(["a:1", "b:1", "a:1"]);
    expect(addresses(peers)).toEqual(["a:1", "b:1"]);
    await peers[Symbol.asyncDispose]();
    expect(events).toEqual(["+a:1", "+b:1", "-a:1", "-b:1"]);
    expect(addresses(peers)).toEqual([]);
  });

  it("come and go as they are found; who stays is not touched", async () => {
    const { discovery, say } = spoken();
    const { events, peers } = followed(discovery);
    await say("a:1", "b:1");
    await say("b:1", "c:1");
    expect(addresses(peers)).toEqual(["b:1", "c:1"]);
    expect(events).toEqual(["+a:1", "+b:1", "+c:1", "-a:1"]);
    await peers[Symbol.asyncDispose]();
    expect(events.slice(4).sort()).toEqual(["-b:1", "-c:1"]);
  });

  it("that drain come last", async () => {
    const { discovery, say } = spoken();
    const { peers } = followed(discovery);
    await say("a:1!", "b:1");
    expect(addresses(peers)).toEqual(["b:1", "a:1"]);
    await peers[Symbol.asyncDispose]();
  });

  it("are kept when nobody is found any more", async () => {
    const { discovery, say } = spoken();
    const { events, peers } = followed(discovery);
    await say("a:1");
    await say();
    expect(addresses(peers)).toEqual(["a:1"]);
    await say("b:1");
    expect(events).toEqual(["+a:1", "+b:1", "-a:1"]);
    await peers[Symbol.asyncDispose]();
  });
});

describe("joined discoveries", () => {
  it("find whom any of them finds, and end with the signal", async () => {
    const { discovery, say } = spoken();
    const stop = new AbortController();
    const seen: string[][] = [];
    const reading = (async () => {
      for await (const peers of joinDiscoveries([fixedDiscovery(["a:1"]), discovery]).watch(stop.signal)) seen.push(addresses(peers));
    })();
    await say("b:1");
    await say("b:1", "c:1");
    stop.abort();
    await reading;
    expect(seen.at(-1)).toEqual(["a:1", "b:1", "c:1"]);
  });
});
