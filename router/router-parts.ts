import { join } from "node:path";
import { type BlobStore, openFolderStore } from "#blobs";
import {
  type ClaimOutbox,
  type Clock,
  deadlineSignal,
  type Log,
  type Millis,
  NO_TRACER,
  SECOND,
  type Snapshot,
  startClaimOutbox,
  type Tokens,
} from "#kernel";
import { Idempotency, Limits, REQUEST_MS_MAX, REQUEST_SLOT_LIMITS, RequestSlots, WaitingRoom } from "./admission/index.ts";
import { BLOB_COLLECTION, createDeltaFiles, startBlobCollection } from "./blobs/index.ts";
import { BaseDirectory, type Catalog, startCatalog } from "./catalog/index.ts";
import type { InferenceCore } from "./contract.ts";
import { startTenantFiles, type TenantFiles } from "./files/index.ts";
import { type FineTuning, openFineTuning } from "./fine-tuning/index.ts";
import { createInferenceCore, Dispatcher } from "./generation/index.ts";
import { Access, KeyUses } from "./keys/index.ts";
import { createLedger, type Ledger, startNodeHours } from "./ledger/index.ts";
import { createLedgerEvents, createRouterMetrics } from "./metrics.ts";
import type { ModelDeps } from "./models/index.ts";
import { type ClusterView, DeltaHeat, observed, openGrpcTransport, startClusterView } from "./nodes/index.ts";
import { type PriceLookup, priceLookup } from "./prices/index.ts";
import type { RouterDeps, RouterOptions } from "./router.ts";

/** What the doors open on. */
export interface RouterParts {
  readonly core: InferenceCore;
  readonly models: ModelDeps;
  readonly cluster: ClusterView;
  readonly heat: DeltaHeat;
  readonly snapshot: () => Snapshot;
  readonly dispatcher: Dispatcher;
  readonly room: WaitingRoom;
  readonly access: Access;
  readonly keyUses: KeyUses;
  readonly slots: RequestSlots;
  readonly limits: Limits;
  readonly idempotency: Idempotency;
  readonly ledger: Ledger;
  readonly prices: PriceLookup;
  readonly outbox: ClaimOutbox;
  readonly files: TenantFiles;
  readonly fineTuning: FineTuning;
}

/** What an earlier life left is posted in milliseconds; a store that takes longer is away, and nobody waits for it. */
const RECOVERY_MS_MAX: Millis = 5 * SECOND;

/** Builds everything behind the doors, in order; what has to be closed goes onto `started`. */
export async function openParts(
  deps: RouterDeps,
  options: RouterOptions,
  started: AsyncDisposableStack,
  life: { readonly serving: () => boolean; readonly stopping: AbortSignal },
): Promise<RouterParts> {
  const { clock, log, random, store } = deps;
  const name = `router-${random.bits().toString(16)}`; // Another one in every life.
  const snapshot = () => cluster.snapshot;
  const catalog = started.use(await startCatalog({ records: store.records, clock, log }));
  const keyUses = new KeyUses(catalog);
  const access = started.use(new Access({ view: catalog.view, clock, uses: keyUses }));
  const { ledger, prices, outbox: claims } = await openBooks(deps, options, catalog);
  started.use(claims);
  const heat = new DeltaHeat(clock);
  const outbox = observed(claims, heat);

  const slots = new RequestSlots(options.requestLimits ?? REQUEST_SLOT_LIMITS);
  const metrics = createRouterMetrics(deps.registry, {
    claimsPending: () => outbox.pending,
    queueDepth: () => slots.waiting,
    waitingForNode: () => dispatcher.queue.depth,
    waitingRoom: () => room.waiting(),
    wakeNodesWanted: () => room.nodesWanted(),
  });
  const room = new WaitingRoom({ clock, onLeft: (end) => metrics.leftWaitingRoom(end) }, options.wake);
  const transport = started.use(deps.transport ?? openGrpcTransport({ clock }, options));
  const onDecision = (reason: string) => metrics.placementDecided(reason);
  const onWaited = (waitMs: Millis) => metrics.waitedForNode(waitMs);
  const dispatcher = new Dispatcher({ clock, transport, snapshot, onDecision, onWaited, room }, options.queueLimits);
  const onSnapshot = (latest: Snapshot) => {
    transport.keepOnly(latest);
    dispatcher.follow(latest);
  };
  const cluster = started.use(deps.cluster ?? startClusterView({ clock, onSnapshot }, options));
  started.use(startNodeHours({ clock, random, log, snapshot, journal: store.journal, leases: store.leases }, { holder: name }));

  const names = { view: catalog.view, bases: new BaseDirectory(catalog.view, snapshot) };
  const limits = new Limits({ clock, log, meters: store.meters }, REQUEST_MS_MAX);
  const idempotency = new Idempotency({ clock, log, answers: store.answers, holder: name });
  const ready = () => life.serving() && (options.wake !== undefined || hasReadyNode(cluster.snapshot));
  const admission = { names, access, slots, limits, idempotency };
  const core = createInferenceCore({
    ...admission,
    clock,
    log,
    random,
    dispatcher,
    outbox,
    metrics,
    ready,
    tracer: deps.tracer ?? NO_TRACER,
  });
  const blobs = deps.blobs ?? started.use(await openOwnBlobs(deps, options));
  started.use(startBlobCollection({ ...deps, blobs, records: store.records }, options.blobCollection ?? BLOB_COLLECTION));
  const deltaFiles = createDeltaFiles(blobs, options.deltaFileLimits);
  const models = { clock, log, catalog, names, files: deltaFiles, dispatcher, snapshot, stopping: life.stopping };
  const files = started.use(
    await startTenantFiles({ ...deps, blobs, catalog }, { ...(options.fileLimits && { limits: options.fileLimits }) }),
  );
  const onTrained = (base: string, tokens: Tokens) => metrics.tokensTrained(base, tokens);
  const fineTuning = await openFineTuning(
    { ...deps, blobs, models, files, prices, outbox, onTrained },
    { ...(options.jobLimits && { limits: options.jobLimits }) },
  );
  await postRecovered(clock, log, outbox);
  const books = { ledger, prices, outbox };
  return {
    core,
    models,
    cluster,
    heat,
    snapshot,
    dispatcher,
    room,
    access,
    keyUses,
    slots,
    limits,
    idempotency,
    ...books,
    files,
    fineTuning,
  };
}

/** One router alone needs no store besides its data directory. */
function openOwnBlobs({ randomSecret }: RouterDeps, { dataDirectory }: RouterOptions): Promise<BlobStore> {
  return openFolderStore({ newName: () => randomSecret(16).toString("hex") }, dataDirectory);
}

/** The ledger, and what carries this router's own claims there. */
async function openBooks(deps: RouterDeps, options: RouterOptions, catalog: Catalog) {
  const { clock, log, random, store } = deps;
  const prices = priceLookup(catalog.view, store.records);
  const own = createLedger({
    journal: store.journal,
    meters: store.meters,
    clock,
    random,
    price: prices,
    events: createLedgerEvents(deps.registry),
  });
  const ledger = deps.wrapLedger?.(own) ?? own;
  const deliver = (claims: Parameters<Ledger["post"]>[0]) => ledger.post(claims);
  const outbox = await startClaimOutbox({ clock, log }, { file: join(options.dataDirectory, "claims"), deliver });
  return { ledger, prices, outbox };
}

/** Posts what an earlier life left, so that budgets know of it before anything else is let in. */
async function postRecovered(clock: Clock, log: Log, outbox: ClaimOutbox): Promise<void> {
  if (outbox.pending === 0) return;
  using limit = deadlineSignal(clock, RECOVERY_MS_MAX, () => "over");
  const { promise: over, resolve } = Promise.withResolvers<void>();
  limit.signal.addEventListener("abort", () => resolve(), { once: true });
  await Promise.race([outbox.flush(), over]);
  if (limit.signal.aborted) log.warn({ claims: outbox.pending }, "claims of an earlier life are still on their way to the ledger");
}

function hasReadyNode(snapshot: Snapshot): boolean {
  for (const node of snapshot.nodes.values()) if (node.state === "ready" && node.bases.size > 0) return true;
  return false;
}
