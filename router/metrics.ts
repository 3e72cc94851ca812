import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import { FIRST_TOKEN_BUCKETS, INTER_TOKEN_BUCKETS, type Millis, type Tokens, type Usage } from "#kernel";
import type { LedgerEvents } from "./ledger/index.ts";

/** Where a delta stood when its request came, in the words of the metrics. */
export type Residency = "hot" | "warm" | "cold";

/** What a router counts. Never a tenant or a delta in a label: their number has no bound. */
export interface RouterMetrics {
  requestEnded(code: string, base: string): void;
  firstToken(base: string, residency: Residency, waitMs: Millis): void;
  nextToken(waitMs: Millis): void;
  placementDecided(reason: string): void;
  tokensServed(base: string, usage: Usage): void;
  /** A fine-tuning job has ended; what it is charged. */
  tokensTrained(base: string, trained: Tokens): void;
  /** A request was let in, and how, or not, and why. */
  admissionEnded(outcome: string): void;
  /** A request has got its node. */
  waitedForNode(waitMs: Millis): void;
  /** A request has left the room of those who wait for a node to come up. */
  leftWaitingRoom(end: string): void;
}

/** Read when the metrics are scraped. */
export interface RouterGauges {
  readonly claimsPending: () => number;
  /** Requests that were let in and have no first token yet. */
  readonly queueDepth: () => number;
  /** Of them, those that wait for a node with room. */
  readonly waitingForNode: () => number;
  /** By base: requests that wait for its first node to come up. */
  readonly waitingRoom: () => ReadonlyMap<string, number>;
  /** By base that may have no node: whether it should have one. */
  readonly wakeNodesWanted: () => ReadonlyMap<string, number>;
}

/** Most requests wait for nothing; nobody waits for more than twenty seconds. */
const QUEUE_WAIT_BUCKETS = [0, 0.005, 0.02, 0.08, 0.3, 1.2, 2.5, 5, 10, 20];

export function createRouterMetrics(registry: Registry, gauges: RouterGauges): RouterMetrics {
  const registers = [registry];
  const requests = new Counter({
    name: "deltaplane_requests_total",
    help: "Requests by how they ended.",
    labelNames: ["code", "base"],
    registers,
  });
  const firstToken = new Histogram({
    name: "deltaplane_time_to_first_token_seconds",
    help: "From the request's arrival to its first token.",
    labelNames: ["base", "residency"],
    buckets: FIRST_TOKEN_BUCKETS,
    registers,
  });
  const interToken = new Histogram({
    name: "deltaplane_inter_token_seconds",
    help: "Between two pieces of one choice.",
    buckets: INTER_TOKEN_BUCKETS,
    registers,
  });
  const decisions = new Counter({
    name: "deltaplane_placement_decisions_total",
    help: "Choices of a node, by the reason that decided.",
    labelNames: ["reason"],
    registers,
  });
  const tokens = new Counter({
    name: "deltaplane_tokens_total",
    help: "Tokens served and trained. Not the bill: that is the ledger.",
    labelNames: ["base", "kind"],
    registers,
  });
  const admission = new Counter({
    name: "deltaplane_admission_total",
    help: "Requests by whether they were let in: admitted, admitted_without_store, replayed, or the reason why not.",
    labelNames: ["outcome"],
    registers,
  });
  const budgetRejections = new Counter({
    name: "deltaplane_budget_rejections_total",
    help: "Requests that a tenant's budget did not cover.",
    registers,
  });
  const queueWait = new Histogram({
    name: "deltaplane_queue_wait_seconds",
    help: "How long requests waited for a node with room.",
    buckets: QUEUE_WAIT_BUCKETS,
    registers,
  });
  const leftRoom = new Counter({
    name: "deltaplane_waiting_room_left_total",
    help: "Requests that waited for a base's first node to come up, by what became of them: served, gone, shed.",
    labelNames: ["outcome"],
    registers,
  });
  byBase("deltaplane_waiting_room_requests", "Requests that wait for a base's first node to come up.", gauges.waitingRoom, registry);
  byBase("deltaplane_wake_nodes_wanted", "Whether a base that may have no node should have one: 0 or 1.", gauges.wakeNodesWanted, registry);
  sampled("deltaplane_fair_queue_depth", "Requests that wait for a node with room.", gauges.waitingForNode, registry);
  sampled("deltaplane_ledger_claims_pending", "Claims that are durable here and not yet in the ledger.", gauges.claimsPending, registry);
  sampled("deltaplane_queue_depth", "Requests that were let in and have no first token yet.", gauges.queueDepth, registry);

  return {
    requestEnded: (code, base) => requests.inc({ code, base }),
    firstToken: (base, residency, waitMs) => firstToken.observe({ base, residency }, waitMs / 1000),
    nextToken: (waitMs) => interToken.observe(waitMs / 1000),
    placementDecided: (reason) => decisions.inc({ reason }),
    tokensServed(base, usage) {
      tokens.inc({ base, kind: "prompt" }, usage.promptTokens);
      tokens.inc({ base, kind: "cached" }, usage.cachedTokens);
      tokens.inc({ base, kind: "completion" }, usage.completionTokens);
    },
    tokensTrained: (base, trained) => tokens.inc({ base, kind: "training" }, trained),
    admissionEnded(outcome) {
      admission.inc({ outcome });
      if (outcome === "budget_spent") budgetRejections.inc();
    },
    waitedForNode: (waitMs) => queueWait.observe(waitMs / 1000),
    leftWaitingRoom: (outcome) => leftRoom.inc({ outcome }),
  };
}

/** What a ledger counts of itself. */
export function createLedgerEvents(registry: Registry): LedgerEvents {
  const registers = [registry];
  const entries = new Counter({ name: "deltaplane_ledger_entries_total", help: "Entries posted to the ledger by this router.", registers });
  const late = new Counter({
    name: "deltaplane_ledger_late_claims_total",
    help: "Claims that came after their request's end and said nothing new.",
    registers,
  });
  const conflicts = new Counter({
    name: "deltaplane_ledger_conflicts_total",
    help: "Times that somebody else wrote in a book first.",
    registers,
  });
  return {
    entriesPosted: (count) => entries.inc(count),
    lateClaims: (count) => late.inc(count),
    conflict: () => conflicts.inc(),
  };
}

function byBase(name: string, help: string, read: () => ReadonlyMap<string, number>, registry: Registry): void {
  new Gauge({
    name,
    help,
    labelNames: ["base"],
    registers: [registry],
    collect() {
      this.reset();
      for (const [base, value] of read()) this.set({ base }, value);
    },
  });
}

function sampled(name: string, help: string, read: () => number, registry: Registry): void {
  new Gauge({
    name,
    help,
    registers: [registry],
    collect() {
      this.set(read());
    },
  });
}
