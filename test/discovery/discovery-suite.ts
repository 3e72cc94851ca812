import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Discovery, type PeerAddress, systemClock } from "#kernel";

/** Peers that a test decides about, and somebody who finds them. */
export interface DiscoveryPlace extends AsyncDisposable {
  readonly discovery: Discovery;
  /** What can be done to the source; a list stays as it is. */
  readonly source?: {
    /** Makes these peers, and nobody else, be there: `a:1!` drains. */
    set(peers: readonly string[]): Promise<void>;
    fallSilent(): Promise<void>;
    speakAgain(): Promise<void>;
  };
}

/** What every {@link Discovery} promises. @param open with `FIRST` there */
export function describeDiscovery(name: string, open: () => Promise<DiscoveryPlace>, canChange: boolean): void {
  describe(`peers found by ${name}`, () => {
    let place: DiscoveryPlace;
    let stop: AbortController;
    const watching: Promise<void>[] = [];
    beforeEach(async () => {
      place = await open();
      stop = new AbortController();
    });
    afterEach(async () => {
      stop.abort();
      await Promise.all(watching.splice(0));
      await place[Symbol.asyncDispose]();
    });

    /** All news so far; `a:1!` drains. */
    function watch(signal = stop.signal): string[][] {
      const news: string[][] = [];
      const reading = async () => {
        for await (const peers of place.discovery.watch(signal)) news.push(peers.map(written));
      };
      watching.push(reading());
      return news;
    }
    const told = (news: readonly string[][], ...peers: string[]) =>
      expect.poll(() => news.at(-1), { timeout: 10_000, interval: 10 }).toEqual(peers);

    it("are told to everybody who watches, also to those who come later", async () => {
      await told(watch(), ...FIRST);
      await told(watch(), ...FIRST);
    });

    it("are told until the signal aborts, and not after it", async () => {
      const mine = new AbortController();
      const news = watch(mine.signal);
      await told(news, ...FIRST);
      mine.abort();
      await watching.at(-1);
      expect(watch(mine.signal)).toEqual([]);
      await watching.at(-1);
    });

    describe.skipIf(!canChange)("as they change", () => {
      it("are told when one comes, drains or goes, each change once and nothing between", async () => {
        const news = watch();
        await told(news, ...FIRST);
        for (const peers of [
          ["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"],
          ["127.0.0.1:1", "127.0.0.1:2!", "127.0.0.1:3"],
          ["127.0.0.1:1", "127.0.0.1:3"],
        ]) {
          await place.source!.set(peers);
          await told(news, ...peers);
        }
        const distinct = news.filter((peers, at) => String(peers) !== String(news[at - 1]));
        expect(news).toEqual(distinct);
      });

      it("stay as they were while the source says nothing, and are told anew when it speaks again", async () => {
        const news = watch();
        await told(news, ...FIRST);
        const count = news.length;
        await place.source!.fallSilent();
        await systemClock.after(400);
        expect(news).toHaveLength(count);
        await place.source!.speakAgain();
        await place.source!.set([...FIRST, "127.0.0.1:9"]);
        await told(news, ...FIRST, "127.0.0.1:9");
        expect(news.every((peers) => FIRST.every((first) => peers.includes(first)) || news.indexOf(peers) < count)).toBe(true);
      });
    });
  });
}

export const FIRST = ["127.0.0.1:1", "127.0.0.1:2"] as const;

export function parsePeer(text: string): PeerAddress {
  return { address: text.replace("!", ""), draining: text.endsWith("!") };
}

function written({ address, draining }: PeerAddress): string {
  return address + (draining ? "!" : "");
}
