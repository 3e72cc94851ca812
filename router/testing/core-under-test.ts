import { Registry } from "prom-client";
import {
  asKeyId,
  asProjectId,
  asTenantId,
  type Claim,
  type ClaimOutbox,
  type Clock,
  Fault,
  type Log,
  NO_TRACER,
  type NodeId,
  seededRandom,
  systemClock,
  type TenantId,
} from "#kernel";
import { type GenerateRequest, type GenerateResponse, Sampling } from "#proto";
import type { StateStore } from "#state";
import {
  Idempotency,
  Limits,
  type QueueLimits,
  REQUEST_MS_MAX,
  type RequestSlotLimits,
  RequestSlots,
  WaitingRoom,
  type WakeOptions,
} from "../admission/index.ts";
import { BaseDirectory, CatalogView, type PriceRecord, recordKey, type TenantRecord } from "../catalog/index.ts";
import type { InferenceCore, Principal } from "../contract.ts";
import { createInferenceCore, Dispatcher } from "../generation/index.ts";
import { Access } from "../keys/index.ts";
import { createRouterMetrics } from "../metrics.ts";
import { memoryTransport, type NodeClient } from "../nodes/index.ts";
import { BASE_NAME, settableCluster, snapshotOf, viewsOf } from "./cluster-of.ts";

export const SILENT: Log = { info: () => undefined, warn: () => undefined, error: () => undefined };

export interface CoreOptions {
  readonly clock?: Clock;
  /** For tenants with limits, and for idempotency keys. Default: one that never answers. */
  readonly store?: Pick<StateStore, "meters" | "answers">;
  readonly requestLimits?: RequestSlotLimits;
  readonly queueLimits?: QueueLimits;
  readonly wake?: WakeOptions;
  /** What is done with each claim before it counts as written. */
  readonly onClaim?: (claim: Claim) => Promise<void>;
  /** Who this router is among those that share the store. */
  readonly holder?: string;
}

export interface CoreUnderTest {
  readonly core: InferenceCore;
  readonly claims: readonly Claim[];
  readonly cluster: ReturnType<typeof settableCluster>;
  readonly slots: RequestSlots;
  readonly dispatcher: Dispatcher;
  readonly limits: Limits;
  readonly idempotency: Idempotency;
  readonly registry: Registry;
  /** Makes or changes a tenant; gives who asks with its key. */
  tenant(id: string, record?: Partial<TenantRecord>): Principal;
  price(record: PriceRecord): void;
}

/** A core over nodes in this process, with an outbox that keeps what it is given. */
export function coreOver(nodes: ReadonlyMap<NodeId, NodeClient>, options: CoreOptions = {}): CoreUnderTest {
  const { clock = systemClock, store = AWAY, onClaim, holder = "router-1" } = options;
  const claims: Claim[] = [];
  const cluster = settableCluster(snapshotOf(viewsOf(nodes)));
  const snapshot = () => cluster.snapshot;
  const slots = new RequestSlots(options.requestLimits ?? { requestsMax: 4096, requestsPerTenantMax: 4096 });
  const registry = new Registry();
  const metrics = createRouterMetrics(registry, {
    claimsPending: () => 0,
    queueDepth: () => slots.waiting,
    waitingForNode: () => dispatcher.queue.depth,
    waitingRoom: () => room.waiting(),
    wakeNodesWanted: () => room.nodesWanted(),
  });
  const room = new WaitingRoom({ clock }, options.wake);
  const view = new CatalogView();
  const random = seededRandom(7);
  const onWaited = (waitMs: number) => metrics.waitedForNode(waitMs);
  const dispatcher = new Dispatcher(
    { clock, transport: memoryTransport(nodes), snapshot, onDecision: () => undefined, onWaited, room },
    options.queueLimits,
  );
  const limits = new Limits({ clock, log: SILENT, meters: store.meters }, REQUEST_MS_MAX);
  const idempotency = new Idempotency({ clock, log: SILENT, answers: store.answers, holder });
  const core = createInferenceCore({
    ...{ clock, random, log: SILENT, slots, dispatcher, limits, idempotency, metrics, tracer: NO_TRACER },
    names: { view, bases: new BaseDirectory(view, snapshot) },
    access: new Access({ view, clock, uses: { used: () => undefined } }),
    outbox: outboxOver(claims, onClaim),
    ready: () => true,
  });
  let version = 0;
  const put = (key: string, value: unknown) => void view.apply({ key, value, version: ++version });
  return {
    ...{ core, claims, cluster, slots, dispatcher, limits, idempotency, registry },
    tenant(id, record = {}) {
      const tenantId = asTenantId(id);
      put(recordKey("tenant", id), { id, createdAt: 0, ...record });
      const keyId = asKeyId(keyOf(tenantId));
      put(recordKey("key", keyId), { id: keyId, tenantId, scopes: ["infer"], secretSha256: "0".repeat(64), createdAt: 0 });
      return { keyId, tenantId, projectId: asProjectId("default"), scopes: new Set(["infer"]) };
    },
    price: (record) => put(recordKey("price", String(record.version)), record),
  };
}

/** "once upon a time", continued greedily for 20 tokens, with what is different. */
export function generateRequest(sampling: Partial<Sampling> = {}, change: Partial<GenerateRequest> = {}): GenerateRequest {
  return {
    model: BASE_NAME,
    prompt: { kind: { $case: "text", value: "once upon a time" } },
    sampling: { ...Sampling.create(), seed: "42", maxTokens: 20, ...sampling },
    echo: false,
    idempotencyKey: "",
    ...change,
  };
}

/** Asks, and reads to the end. */
export function ask(
  { core }: Pick<CoreUnderTest, "core">,
  principal: Principal,
  request = generateRequest(),
  signal = new AbortController().signal,
): Promise<GenerateResponse[]> {
  return Array.fromAsync(core.generate(principal, request, signal));
}

const unanswered = () => Promise.reject(new Fault("store_unreachable", "the store does not answer"));
/** A store that does not answer. */
export const AWAY: Pick<StateStore, "meters" | "answers"> = {
  meters: { take: unanswered, settle: unanswered, release: unanswered, live: unanswered },
  answers: { begin: unanswered, finish: unanswered, abandon: unanswered },
};

function outboxOver(claims: Claim[], onClaim: CoreOptions["onClaim"]): ClaimOutbox {
  return {
    async write(claim) {
      await onClaim?.(claim);
      claims.push(claim);
    },
    pending: 0,
    flush: async () => undefined,
    [Symbol.asyncDispose]: async () => undefined,
  };
}

/** Any sixteen hexadecimal digits, the same for the same tenant. */
function keyOf(tenantId: TenantId): string {
  return Buffer.from(tenantId).toString("hex").padEnd(16, "0").slice(0, 16);
}
