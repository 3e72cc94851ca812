import type { BaseInfo } from "#model";
import {
  type AttachRequest,
  type Base,
  type CallContext,
  type Handlers,
  type InspectResponse,
  type NodeServiceGenerateRequest,
  type NodeServiceGenerateResponse,
  type NodeServiceService,
  requireClusterKey,
  Tier,
  tierFromMessage,
} from "#proto";
import type { ActiveWork } from "./active-work.ts";
import type { BaseHost } from "./base-host.ts";
import { type DeltaCache, storedParts } from "./delta-cache/index.ts";
import { encodePrompt, type GenerationDeps, generate, score } from "./generation/index.ts";
import type { HostedBases } from "./hosted-bases.ts";
import type { LeaderFence } from "./leader-fence.ts";
import { readDelta, readDeltaOf } from "./wire-delta.ts";

export interface NodeServiceDeps {
  readonly generation: GenerationDeps;
  readonly bases: HostedBases;
  readonly deltas: DeltaCache;
  readonly work: ActiveWork;
  readonly fence: LeaderFence;
  readonly clusterKey: string;
}

/** What routers call. Every call needs the cluster's key; while the node drains, new work is refused. */
export function createNodeService(deps: NodeServiceDeps): Handlers<typeof NodeServiceService> {
  const admit = (context: CallContext) => requireClusterKey(context.credential, deps.clusterKey);
  /** Runs one piece of work that a drain waits for. */
  const working = async <T>(context: CallContext, task: () => Promise<T>): Promise<T> => {
    admit(context);
    const done = deps.work.begin();
    try {
      return await task();
    } finally {
      done();
    }
  };

  return {
    generate(request, context) {
      admit(context);
      return generating(deps, request, context.signal);
    },

    score: (request, context) =>
      working(context, () => {
        const delta = readDeltaOf(request.baseDigest, request.delta);
        return score(deps.generation, deps.bases.get(request.baseDigest), request, delta, context.signal);
      }),

    async countTokens(request, context) {
      admit(context);
      const { codec, info } = deps.bases.get(request.baseDigest);
      const tokens = await encodePrompt(codec, info, request.prompt);
      return { tokens: tokens.length };
    },

    attachBase: (request, context) =>
      working(context, async () => ({ base: baseMessage(await deps.bases.attach(request.name, request.directory)) })),

    inspect: (request, context) =>
      working(context, async () => {
        const delta = readDelta(request.delta);
        const { info } = deps.bases.get(delta.baseDigest);
        const { rank, sizeBytes, sites } = await deps.deltas.inspect(delta, context.signal);
        return { rank, sizeBytes, targets: targetsOf(sites, info) } satisfies InspectResponse;
      }),

    attach: (request, context) =>
      working(context, async () => {
        await attach(deps, request, context.signal);
        return {};
      }),

    async detach(request, context) {
      admit(context);
      deps.fence.check(request.leaderEpoch);
      const { digest } = readDelta(request.delta);
      if (request.keepOnDisk) deps.deltas.lower(digest);
      else deps.deltas.forget(digest);
      return {};
    },

    async drain(request, context) {
      admit(context);
      deps.fence.check(request.leaderEpoch);
      await deps.work.drain();
      return {};
    },

    async resume(_request, context) {
      admit(context);
      deps.work.resume();
      return {};
    },

    async *fetchDelta(request, context) {
      admit(context);
      const lent = deps.deltas.lend(readDelta(request.delta), context.signal);
      lent.catch(() => undefined); // It may fail before anybody waits for it.
      try {
        yield { part: undefined }; // Its way from the store may be long: whoever asks is told that somebody is here.
        yield* storedParts((await lent).value);
      } finally {
        (await lent).release();
      }
    },
  };
}

/** A wish of a router pins or unpins; an order of the leader only moves. */
async function attach({ deltas, bases, fence }: NodeServiceDeps, request: AttachRequest, signal: AbortSignal): Promise<void> {
  fence.check(request.leaderEpoch);
  const delta = readDelta(request.delta);
  deltas.hint(delta.digest, request.deltaSources);
  if (!request.keepPin) return await deltas.warm(delta, request.pinned, signal);
  const target = request.tier === Tier.TIER_UNSPECIFIED ? "ram" : tierFromMessage(request.tier);
  if (target === "slot") await bases.get(delta.baseDigest).load(delta, signal);
  else await deltas.raise(delta, target, signal);
}

async function* generating(
  deps: NodeServiceDeps,
  request: NodeServiceGenerateRequest,
  signal: AbortSignal,
): AsyncGenerator<NodeServiceGenerateResponse> {
  const done = deps.work.begin();
  try {
    const delta = readDeltaOf(request.baseDigest, request.delta);
    if (delta) deps.deltas.hint(delta.digest, request.deltaSources);
    yield* generate(deps.generation, deps.bases.get(request.baseDigest), request, delta, signal);
  } finally {
    done();
  }
}

function baseMessage({ info, directory }: BaseHost): Base {
  const { name, digest, architecture, contextTokensMax, vocabularySize, parameterCount, weightType } = info;
  return { name, digest, architecture, contextTokensMax, vocabularySize, parameterCount, weightType, directory };
}

/** `layers.3.q` → `model.layers.3.self_attn.q_proj` → `self_attn.q_proj`, each once. */
function targetsOf(sites: readonly string[], base: BaseInfo): string[] {
  const modules = new Map(base.linears.map(({ site, module }) => [site, module]));
  return [...new Set(sites.map((site) => (modules.get(site) ?? site).replace(/^.*\.\d+\./, "")))];
}
