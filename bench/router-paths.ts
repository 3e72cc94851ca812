import { asBaseDigest, systemClock } from "#kernel";
import {
  AdminServiceService,
  GenerateRequest,
  type GrpcChannel,
  InferenceServiceService,
  NodeServiceGenerateRequest,
  NodeServiceService,
  openChannel,
  type Usage,
} from "#proto";
import { addTenant, type BenchCluster } from "./cluster.ts";

/** Sends one request and resolves with its completion tokens when its stream has ended. */
export type Ask = (prompt: string, maxTokens: number) => Promise<number>;

/** The same request, by way of the router as clients send it, and to the node as the router does. */
export interface RouterPaths extends AsyncDisposable {
  readonly throughRouter: Ask;
  readonly straightToNode: Ask;
}

export async function openRouterPaths(cluster: BenchCluster): Promise<RouterPaths> {
  const { key } = await addTenant(cluster, []);
  const home = await findNode(cluster);
  const router = openChannel({ address: cluster.grpcAddress, credential: key, clock: systemClock });
  const node = openChannel({ address: home.address, credential: cluster.clusterKey, clock: systemClock });
  return {
    throughRouter: routerRequest(router, cluster.baseName),
    straightToNode: nodeRequest(node, home.base),
    async [Symbol.asyncDispose]() {
      await Promise.all([router[Symbol.asyncDispose](), node[Symbol.asyncDispose]()]);
    },
  };
}

interface HomeBase {
  readonly name: string;
  readonly digest: string;
}

function routerRequest(channel: GrpcChannel, model: string): Ask {
  return (text, maxTokens) => {
    const request = GenerateRequest.fromPartial({ model, ...textRequest(text, maxTokens) });
    return tokensOf(channel.serverStream(InferenceServiceService.generate, request));
  };
}

function nodeRequest(channel: GrpcChannel, base: HomeBase): Ask {
  let count = 0;
  return (text, maxTokens) => {
    const request = NodeServiceGenerateRequest.fromPartial({
      ...{ requestId: `bench-${count++}`, tenantId: "bench", baseDigest: asBaseDigest(base.digest), baseName: base.name },
      ...{ admittedAtMs: systemClock.now(), ...textRequest(text, maxTokens) },
    });
    return tokensOf(channel.serverStream(NodeServiceService.generate, request));
  };
}

function textRequest(value: string, maxTokens: number) {
  return { prompt: { kind: { $case: "text" as const, value } }, sampling: { maxTokens, temperature: 0, seed: "1", ignoreEos: true } };
}

async function tokensOf(pieces: AsyncIterable<{ readonly usage?: Usage | undefined }>): Promise<number> {
  let tokens = 0;
  for await (const { usage } of pieces) tokens = usage?.completionTokens ?? tokens;
  return tokens;
}

async function findNode(cluster: BenchCluster): Promise<{ readonly address: string; readonly base: HomeBase }> {
  await using admin = openChannel({ address: cluster.adminAddress, credential: cluster.adminKey, clock: systemClock });
  const { nodes } = await admin.unary(AdminServiceService.getCluster, {});
  const view = nodes[0]?.view;
  const base = view?.bases[0];
  if (!view || !base) throw new Error("the cluster has no node with a base");
  return { address: view.address, base };
}
