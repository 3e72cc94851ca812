import { type Random, seededRandom } from "#kernel";
import { readBooks } from "./booked-requests.ts";
import { judgeDeath, openHolds, recount, replay, totals } from "./cluster-check.ts";
import { addCustomers, heldOutPrompts, setBudget, setPrices } from "./customers.ts";
import { type Kill, killAtRandom } from "./kills.ts";
import { type LiveCluster, startLiveCluster } from "./live-cluster.ts";
import { runOpenLoop } from "./open-loop.ts";
import { type References, recordReferences } from "./reference-texts.ts";
import { checkStorm, type StormEvidence, type Violation } from "./storm-check.ts";
import { keepEvidence } from "./storm-evidence.ts";
import { createShooter, type ShotRecord } from "./storm-load.ts";
import { drawShot, type StormPlan, stormAsk } from "./storm-plan.ts";
import type { Storm } from "./storm-report.ts";

export interface KillStormOptions {
  readonly kills: number;
  readonly seed: number;
  /** With `embedded` there is one router, and nobody kills redis-server. */
  readonly store: "redis" | "embedded";
  readonly progress?: (line: string) => void;
}

/** Kills between two looks at the books. After each a dead router's idempotency keys are waited for, half a minute. */
const KILLS_PER_BATCH = 100;
const REQUESTS_PER_SECOND = 10;
/** A component is back in one or two seconds, so deaths often overlap. */
const KILL_PAUSE_MS = { least: 1_000, most: 3_600 };
const PROMPTS_PER_TASK = 2;
const TENANTS = ["acme", "globex", "initech"] as const;
const REFUSED = "penniless";

/** Kills whatever holds money, under load, and compares the books with what clients saw. */
export async function runKillStorm(options: KillStormOptions): Promise<Storm> {
  const { seed, store, progress = () => undefined } = options;
  const startedMs = performance.now();
  await using cluster = await startLiveCluster({ store, seed, nodes: 2, routers: store === "redis" ? 2 : 1 });
  progress(`seed ${seed}: the cluster runs in ${cluster.folder}`);
  const plan = await preparePlan(cluster);
  const references = await recordAll(cluster, plan);
  await cluster.quiet();
  const before = new Set((await readBooks(cluster.operator)).requests.keys());
  progress(`${references.size} reference texts recorded`);
  const batches = new StormBatches(cluster, plan, { references, before, seed });
  for (let left = options.kills; left > 0; left -= KILLS_PER_BATCH) {
    await batches.run(Math.min(left, KILLS_PER_BATCH));
    progress(batches.summary());
  }
  await batches.replay();
  if (batches.storm().violations.length > 0) progress(`evidence is kept in ${await batches.keepEvidence()}`);
  return { ...batches.storm(), seed, seconds: (performance.now() - startedMs) / 1000 };
}

async function preparePlan(cluster: LiveCluster): Promise<StormPlan> {
  const customers = await addCustomers(cluster, [...TENANTS, REFUSED]);
  await setPrices(cluster);
  for (const tenant of TENANTS) await setBudget(cluster, tenant, "1000000");
  await setBudget(cluster, REFUSED, "0");
  const prompts = heldOutPrompts(PROMPTS_PER_TASK);
  return { customers: customers.slice(0, -1), refused: customers.at(-1)!, prompts, routers: cluster.routers.length };
}

function recordAll(cluster: LiveCluster, plan: StormPlan): Promise<References> {
  const asks = plan.customers.flatMap(({ key, models }) => {
    const channel = cluster.channel(cluster.routers[0]!.grpc, key);
    return models.flatMap((model) => plan.prompts.map((_, index) => ({ channel, ask: stormAsk(model, plan.prompts, index) })));
  });
  return recordReferences(asks);
}

/** Load and kills, then peace, then the books; as often as it takes. */
class StormBatches {
  readonly #cluster: LiveCluster;
  readonly #evidence: Omit<StormEvidence, "booked" | "records" | "kills">;
  readonly #plan: StormPlan;
  readonly #shoot: ReturnType<typeof createShooter>;
  readonly #before: ReadonlySet<string>;
  readonly #seed: number;
  readonly #chance: { readonly load: Random; readonly arrivals: Random; readonly kills: Random };
  readonly #kills: Kill[] = [];
  readonly #records: ShotRecord[] = [];
  /** Of the last look at the books, which is at everything since the start. */
  #verdict: ReturnType<typeof checkStorm> | undefined;
  /** Of the looks themselves: recount, holds, deaths. */
  readonly #violations: Violation[] = [];
  #booked: StormEvidence["booked"] = new Map();
  #deaths = 0;
  #holdsOpen = 0;
  #shots = 0;

  /** `before`: requests that the books already held when the storm began. */
  constructor(
    cluster: LiveCluster,
    plan: StormPlan,
    { references, before, seed }: { readonly references: References; readonly before: ReadonlySet<string>; readonly seed: number },
  ) {
    const random = seededRandom(seed);
    this.#cluster = cluster;
    this.#evidence = { references, refusedTenant: plan.refused.tenant };
    this.#plan = plan;
    this.#shoot = createShooter(cluster);
    this.#before = before;
    this.#seed = seed;
    this.#chance = { load: random.fork("load"), arrivals: random.fork("arrivals"), kills: random.fork("kills") };
  }

  async run(kills: number): Promise<void> {
    const over = new AbortController();
    const load = runOpenLoop({ ratePerSecond: REQUESTS_PER_SECOND, random: this.#chance.arrivals, until: over.signal }, () => {
      const shot = drawShot(this.#plan, this.#shots++, `storm-${this.#seed}`, this.#chance.load);
      return this.#shoot(shot);
    });
    this.#kills.push(...(await killAtRandom(this.#cluster, { count: kills, random: this.#chance.kills, pauseMs: KILL_PAUSE_MS })));
    over.abort();
    this.#records.push(...(await load));
    await this.#cluster.healed();
    await this.#cluster.quiet();
    await this.#look();
  }

  /** What is wrong with the cluster as it stands, after everything so far. */
  async #look(): Promise<void> {
    const books = await readBooks(this.#cluster.operator);
    const booked = new Map([...books.requests].filter(([id]) => !this.#before.has(id)));
    this.#booked = booked;
    this.#verdict = checkStorm({ ...this.#evidence, booked, records: this.#records, kills: this.#kills });
    const holds = await openHolds(this.#cluster, this.#plan, { records: this.#records, kills: this.#kills });
    this.#holdsOpen = holds.open;
    this.#violations.push(...(await recount(this.#cluster)), ...(await totals(this.#cluster, books)), ...holds.violations);
    const deaths = this.#cluster.deaths();
    this.#violations.push(...deaths.slice(this.#deaths).flatMap(judgeDeath));
    this.#deaths = deaths.length;
  }

  storm(): Omit<Storm, "seed" | "seconds"> {
    const { violations, figures } = this.#verdict!;
    const all = [...violations, ...this.#violations];
    return { kills: this.#kills, records: this.#records, figures, holdsOpen: this.#holdsOpen, violations: all };
  }

  /** Once, at the end: every claim that was ever posted, again and out of order. */
  async replay(): Promise<void> {
    this.#violations.push(...(await replay(this.#cluster, this.#chance.load)));
  }

  keepEvidence(): Promise<string> {
    const seen = { records: this.#records, booked: this.#booked, kills: this.#kills };
    return keepEvidence(this.#cluster, seen, this.storm().violations);
  }

  summary(): string {
    const { violations, figures } = this.storm();
    const { tokensReceived, tokensCharged, tokensUncharged } = figures;
    const tokens = `${tokensReceived} tokens received, ${tokensCharged} charged, ${tokensUncharged} received and not charged`;
    return `${this.#kills.length} kills, ${this.#records.length} requests, ${tokens}, ${violations.length} violations`;
  }
}
