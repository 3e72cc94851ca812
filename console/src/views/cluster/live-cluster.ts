import type { ReadonlySignal } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { ApiFailure, ask, type Resource, useResource } from "../../api/index.ts";
import type { Cluster } from "./shapes.ts";

/** As often as nodes report. */
const ROUND_MS = 1_000;
/** Of the lines that show how load went: a minute. */
const SAMPLES_MAX = 60;

/** The cluster, and how many tokens per second each node computed in the last minute, the latest last. */
export interface LiveCluster {
  readonly cluster: Cluster;
  readonly speeds: ReadonlyMap<string, readonly number[]>;
}

/** Asks once a second, while somebody looks and has not paused it; an answer that is the same comes without a body. */
export function useLiveCluster(paused: ReadonlySignal<boolean>): Resource<LiveCluster> {
  const look = useMemo(() => newLook(paused), [paused]);
  return useResource(look, [look], { everyMs: ROUND_MS });
}

function newLook(paused: ReadonlySignal<boolean>): (signal: AbortSignal) => Promise<LiveCluster> {
  let tag = "";
  let cluster: Cluster | undefined;
  let speeds: ReadonlyMap<string, readonly number[]> = new Map();
  return async (signal) => {
    if (paused.value && cluster) return { cluster, speeds };
    const answer = await fresh(tag, signal);
    if (answer) {
      cluster = (await answer.json()) as Cluster;
      tag = answer.headers.get("etag") ?? "";
    }
    speeds = new Map(cluster!.nodes.map((node) => [node.id, [...(speeds.get(node.id) ?? []), speedOf(node)].slice(-SAMPLES_MAX)]));
    return { cluster: cluster!, speeds };
  };
}

/** Undefined: as it was. */
async function fresh(tag: string, signal: AbortSignal): Promise<Response | undefined> {
  try {
    return await ask("GET", "/v1/admin/cluster", { signal, ...(tag !== "" && { headers: { "if-none-match": tag } }) });
  } catch (error) {
    if (error instanceof ApiFailure && error.status === 304) return undefined;
    throw error;
  }
}

export function speedOf(node: Cluster["nodes"][number]): number {
  return node.bases.reduce((sum, base) => sum + base.tokens_per_second, 0);
}
