import {
  type BaseDigest,
  type Clock,
  type DeltaDigest,
  deltaDigest,
  Fault,
  type Log,
  NAME_PATTERN,
  type Snapshot,
  type TenantId,
} from "#kernel";
import type { PushDeltaHeader, PushDeltaRequest } from "#proto";
import type { DeltaFiles, DeltaPiece } from "../blobs/index.ts";
import { aliasName, type Catalog, type DeltaRecord, deltaName, type KnownBase, type NameSources, unknownModel } from "../catalog/index.ts";
import type { Principal } from "../contract.ts";
import type { Dispatcher } from "../generation/index.ts";
import { tenantFor } from "../keys/index.ts";
import { pointAlias } from "./alias-switch.ts";
import { followResidency } from "./follow-residency.ts";
import { deltaAsk } from "./residency.ts";

export interface ModelDeps {
  readonly catalog: Catalog;
  readonly names: NameSources;
  readonly files: DeltaFiles;
  readonly dispatcher: Dispatcher;
  /** The cluster as it was last heard of. */
  readonly snapshot: () => Snapshot;
  readonly clock: Clock;
  readonly log: Log;
  /** Ends what goes on after an answer, when the router stops. */
  readonly stopping: AbortSignal;
}

/** Versions that nobody removes add up; the view holds all of them in memory. */
const DELTAS_PER_TENANT_MAX = 10_000;

/** What is to be published, as the upload's header says. */
interface Publication {
  readonly tenantId: TenantId;
  readonly base: KnownBase;
  readonly name: string;
  /** Of a checkpoint of a fine-tuning job. */
  readonly checkpointStep?: number;
}

/** Deltas that are being published here: the second upload of equal content at the same time has to come again. */
export type Publishing = Set<DeltaDigest>;

/**
 * Takes an upload in: files → checks on a node → record → alias, which is switched when the delta is warm. On any failure
 * nothing of it stays. The same content again is the same delta: its files are written anew, and the alias is pointed at it once more.
 */
export async function pushDelta(
  deps: ModelDeps,
  publishing: Publishing,
  principal: Principal,
  requests: AsyncIterable<PushDeltaRequest>,
  signal: AbortSignal,
): Promise<{ readonly delta: DeltaRecord; readonly alias: string }> {
  const upload = requests[Symbol.asyncIterator]();
  const publication = readHeader(deps, principal, await upload.next());
  await using staged = await deps.files.receive(pieces(upload));
  signal.throwIfAborted(); // A cancelled upload ends like a whole one; what cancels it may come a moment later.
  const { tenantId, base } = publication;
  const digest = deltaDigest({ tenantId, baseDigest: base.digest, configSha256: staged.configSha256, weightsSha256: staged.weightsSha256 });
  if (publishing.has(digest)) throw new Fault("version_conflict", "the same delta is being uploaded by someone else");
  publishing.add(digest);
  try {
    const known = deps.catalog.view.get("delta", digest);
    if (known) await staged.keep(digest); // What was lost or damaged since is whole again.
    const delta = known ?? (await publish(deps, publication, digest, () => staged.keep(digest), signal));
    const place = { tenantId, name: publication.name };
    const alias = await pointAlias(deps, place, [{ delta: digest, weight: 1 }], signal).catch(async (error: unknown) => {
      if (!known) await withdraw(deps, digest);
      throw error;
    });
    return { delta, alias: aliasName(alias) };
  } finally {
    publishing.delete(digest);
  }
}

/**
 * Takes in a delta that was trained here: files → checks on a node → record → resident on its home node, so that its first
 * request is served at once. It gets no alias. The same content again is the same delta; a checkpoint that turns out to be
 * the end of its job is called like the end.
 */
export async function publishTrained(
  deps: ModelDeps,
  publishing: Publishing,
  publication: Publication,
  files: AsyncIterable<DeltaPiece>,
  signal: AbortSignal,
): Promise<DeltaRecord> {
  const { tenantId, base, checkpointStep } = publication;
  await using staged = await deps.files.receive(files);
  signal.throwIfAborted();
  const digest = deltaDigest({ tenantId, baseDigest: base.digest, configSha256: staged.configSha256, weightsSha256: staged.weightsSha256 });
  if (publishing.has(digest)) throw new Fault("version_conflict", "the same delta is being published by someone else");
  publishing.add(digest);
  try {
    const known = deps.catalog.view.get("delta", digest);
    if (known) await staged.keep(digest);
    let delta = known ?? (await publish(deps, publication, digest, () => staged.keep(digest), signal));
    if (known?.checkpointStep !== undefined && checkpointStep === undefined)
      delta = (await deps.catalog.change("delta", digest, ({ checkpointStep: _, ...whole }) => whole)) ?? delta;
    await followResidency(deps, [], [delta], signal);
    return delta;
  } finally {
    publishing.delete(digest);
  }
}

function readHeader(deps: ModelDeps, principal: Principal, first: IteratorResult<PushDeltaRequest>): Publication {
  const part = first.done ? undefined : first.value.part;
  if (part?.$case !== "header") throw new Fault("message_malformed", "an upload begins with its header", { detail: { field: "header" } });
  const header: PushDeltaHeader = part.value;
  if (!NAME_PATTERN.test(header.name)) {
    throw new Fault("parameter_invalid", `name "${header.name}" does not match ${NAME_PATTERN.source}`, { detail: { field: "name" } });
  }
  const tenantId = tenantFor(deps.catalog.view, principal, header.tenantId);
  const base = deps.names.bases.find(header.base);
  if (!base) throw unknownModel(header.base);
  if ([...deps.catalog.view.of("delta", tenantId)].length >= DELTAS_PER_TENANT_MAX) {
    throw new Fault("rate_exceeded", `a tenant has at most ${DELTAS_PER_TENANT_MAX} deltas: remove some`, { retry: { kind: "never" } });
  }
  return { tenantId, base, name: header.name };
}

async function* pieces(upload: AsyncIterator<PushDeltaRequest>): AsyncGenerator<DeltaPiece> {
  for (let next = await upload.next(); !next.done; next = await upload.next()) {
    const part = next.value.part;
    if (part?.$case !== "config" && part?.$case !== "weights") {
      throw new Fault("message_malformed", "after its header an upload holds config and weights only", { detail: { field: "part" } });
    }
    yield { file: part.$case, bytes: part.value };
  }
}

async function publish(
  deps: ModelDeps,
  { tenantId, base, name, checkpointStep }: Publication,
  digest: DeltaDigest,
  keep: () => Promise<void>,
  signal: AbortSignal,
): Promise<DeltaRecord> {
  const place = { digest, tenantId, baseName: base.name, suffix: name, ...(checkpointStep !== undefined && { checkpointStep }) };
  const homonym = deps.catalog.view.deltaNamed(tenantId, deltaName(place));
  if (homonym)
    throw new Fault("resource_exists", `${deltaName(place)} exists with other content`, { detail: { resource: deltaName(place) } });
  await keep(); // Before the check: the node reads it from here.
  try {
    const inspected = await inspect(deps, { digest, tenantId, baseDigest: base.digest }, signal);
    const record: DeltaRecord = { ...place, baseDigest: base.digest, ...inspected, createdAt: deps.clock.now(), pinned: false };
    signal.throwIfAborted();
    // Undefined: the same content came through another router meanwhile, and is just as good.
    await deps.catalog.create("delta", digest, record);
    return record;
  } catch (error) {
    const isPublished = deps.catalog.view.get("delta", digest) !== undefined; // Through another router meanwhile: the files are its as well.
    if (!isPublished) await deps.files.remove(digest);
    throw error;
  }
}

/** What a node that serves the base makes of the delta. @throws the node's fault when it does not fit */
async function inspect(
  deps: ModelDeps,
  delta: { readonly digest: DeltaDigest; readonly tenantId: TenantId; readonly baseDigest: BaseDigest },
  signal: AbortSignal,
): Promise<Pick<DeltaRecord, "rank" | "sizeBytes" | "targets">> {
  const { rank, sizeBytes, targets } = await deps.dispatcher.ask(deltaAsk(delta), signal, ({ client }) =>
    client.inspect({ delta }, signal),
  );
  return { rank, sizeBytes, targets };
}

async function withdraw(deps: ModelDeps, digest: DeltaDigest): Promise<void> {
  await deps.catalog.remove("delta", digest);
  await deps.files.remove(digest);
}
