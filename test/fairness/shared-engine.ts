import { asBaseDigest, asTenantId, isFault, type Millis, type Random, SECOND, seededRandom, VirtualClock } from "#kernel";
import { roomFor } from "#scheduler";
import { openEngine } from "../../node-agent/engine/engine.ts";
import { sequenceSpec } from "../../node-agent/engine/testing/sequence-spec.ts";
import { TOY_VOCABULARY } from "../../node-agent/engine/testing/toy-runner.ts";
import { FairQueue, QUEUE_LIMITS } from "../../router/admission/fair-queue.ts";
import { nodeView } from "../../router/testing/cluster-of.ts";
import { TimedRunner } from "./timed-runner.ts";

/** A tenant, and how many requests it sends a second, by a Poisson process. */
export interface Asker {
  readonly tenant: string;
  readonly ratePerSecond: number;
}

/** What a tenant saw of its requests. */
export interface Seen {
  readonly firstTokenMs: Millis[];
  texts: number;
}

const ROWS = 8;
const BASE = asBaseDigest("0".repeat(64));
/** A conversation's turn, as in the live campaign. */
const PROMPT_TOKENS = 564;
const ANSWER_TOKENS = 64;
/** As few as the campaign's engine has: beside light tenants a step is short. */
const OPTIONS = { prefillTokensMax: 64, yieldTokensMax: 512 };
/** Who waits is not sent away here: what is measured is who goes first. */
const PATIENCE = {
  ...QUEUE_LIMITS,
  depthPerTenantMax: 64,
  expectedWaitMsMax: Number.POSITIVE_INFINITY,
  waitMsMax: Number.POSITIVE_INFINITY,
};

/** Production's queue of a router before production's engine, whose steps take as long as the demo base's, for `seconds` of virtual time. */
export async function shareEngine(askers: readonly Asker[], seconds: number, seed: number): Promise<ReadonlyMap<string, Seen>> {
  const clock = new VirtualClock();
  await using engine = openEngine(new TimedRunner(clock, ROWS), { clock, yieldTurn: () => Promise.resolve() }, OPTIONS);
  const queue = queueBefore(clock);
  const over = new AbortController();
  const ask = async (tenant: string, seen: Seen, number: number) => {
    const tenantId = asTenantId(tenant);
    const size = { promptTokensEstimate: PROMPT_TOKENS, maxTokens: ANSWER_TOKENS, rows: 1 };
    const askedAt = clock.monotonic();
    using turn = await queue.enter({ tenantId, baseDigest: BASE, deltaDigest: undefined, ...size }, over.signal);
    using _ = turn.placement;
    // No two prompts begin alike.
    const begin = [number % TOY_VOCABULARY, Math.floor(number / TOY_VOCABULARY) % TOY_VOCABULARY];
    const promptTokens = [...begin, ...Array.from({ length: PROMPT_TOKENS - begin.length }, () => 1)];
    let tokens = 0;
    for await (const event of engine.generate(sequenceSpec({ tenantId, promptTokens, maxTokens: ANSWER_TOKENS }), over.signal)) {
      if (event.kind !== "token") continue;
      if (tokens++ === 0) seen.firstTokenMs.push(clock.monotonic() - askedAt);
      turn.produced(1);
    }
    seen.texts++;
  };
  const all = new Map<string, Seen>();
  const random = seededRandom(seed);
  let asked = 0;
  const arrive = async ({ tenant, ratePerSecond }: Asker, arrivals: Random) => {
    const seen: Seen = { firstTokenMs: [], texts: 0 };
    all.set(tenant, seen);
    while (!over.signal.aborted) {
      await clock.after((-Math.log(1 - arrivals.float()) * SECOND) / ratePerSecond);
      ask(tenant, seen, asked++).catch((error: unknown) => {
        if (!over.signal.aborted && !isFault(error, "queue_full")) throw error;
      });
    }
  };
  for (const asker of askers) void arrive(asker, seededRandom(random.bits()));
  await clock.advance(seconds * SECOND);
  over.abort(new Error("the time is over"));
  await clock.advance(10 * SECOND);
  return all;
}

function queueBefore(clock: VirtualClock): FairQueue {
  let rows = 0;
  const node = nodeView("a");
  const queue: FairQueue = new FairQueue(
    {
      clock,
      onWaited: () => undefined,
      tryPlace: (_, ahead) => {
        if (!roomFor(ahead)({ rowsMax: ROWS, queueDepthMax: 256 }, rows)) return { kind: "full" };
        rows++;
        const release = () => {
          rows--;
          queue.wake(BASE);
        };
        return { kind: "placed", placement: { node, deltaSources: [], answered: () => undefined, [Symbol.dispose]: release } };
      },
    },
    PATIENCE,
  );
  return queue;
}
