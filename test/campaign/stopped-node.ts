import { AdminServiceService } from "#proto";
import type { LiveCluster } from "./live-cluster.ts";
import type { LiveNode } from "./live-parts.ts";
import type { LoadFigures } from "./load-figures.ts";
import { pause } from "./patience.ts";
import { LONG_TOKENS, type SteadyLoad } from "./steady-load.ts";

export interface StoppedNodeOptions {
  /** How often a node stands still. */
  readonly times: number;
  readonly progress?: (line: string) => void;
}

/** At any time; a node has 32 rows. */
const STREAMS = 24;
/** Until all of them run, and the nodes' reports say so. */
const BEGUN_MS = 1_500;
/** Longer than the promise, and than a scheduler's own patience. */
const FROZEN_MS = 6_000;
const HEALED_MS = 1_500;
/** A stream that says nothing for longer than this just when a node stood still was on that node. */
const NOTICED_MS = 500;

/** A node that stands still, and does not end: nobody is told, and everybody has to find out. */
export async function checkStoppedNode(cluster: LiveCluster, load: SteadyLoad, options: StoppedNodeOptions): Promise<LoadFigures> {
  const { times, progress = () => undefined } = options;
  const silences: number[] = [];
  /** Each time, when the first stream went on elsewhere: by then it was detected. */
  const detections: number[] = [];
  for (let time = 0; time < times; time++) {
    const watch = new SilenceWatch();
    const over = new AbortController();
    const running = Array.from({ length: STREAMS }, () => stream(load, watch, over.signal));
    await pause(BEGUN_MS);
    const busiest = await busiestNode(cluster);
    watch.begins();
    const thaw = busiest.process.freeze();
    await pause(FROZEN_MS);
    over.abort();
    await Promise.all(running);
    thaw();
    silences.push(...watch.silences);
    if (watch.silences.length > 0) detections.push(Math.min(...watch.silences));
    progress(`${time + 1} of ${times}: ${watch.silences.map((ms) => Math.round(ms)).join(", ")} ms until a stream went on elsewhere`);
    await pause(HEALED_MS);
    await cluster.healed();
  }
  const violations = [...(await load.judge())];
  const unseen = times - detections.length;
  if (unseen > 0) violations.push({ rule: "campaign", what: `${unseen} of ${times} times no stream was on the node that stood still` });
  return {
    figures: {
      times,
      requests: load.records.length,
      failed: load.failed.length,
      streams_on_stopped_nodes: silences.length,
      detected_max_ms: Math.max(0, ...detections),
      silence_max_ms: Math.max(0, ...silences),
      silence_mean_ms: silences.reduce((sum, ms) => sum + ms, 0) / Math.max(1, silences.length),
    },
    violations,
  };
}

/** The one with most rows, by its last report. */
async function busiestNode(cluster: LiveCluster): Promise<LiveNode> {
  const { nodes } = await cluster.admin.unary(AdminServiceService.getCluster, {}, { timeoutMs: 2_000 });
  const rows = new Map(nodes.map(({ view }) => [view?.id, view?.bases.reduce((sum, base) => sum + base.rowsRunning, 0) ?? 0]));
  const rowsOn = (node: LiveNode) => rows.get(node.process.name) ?? 0;
  return [...cluster.nodes].sort((one, other) => rowsOn(other) - rowsOn(one))[0]!;
}

/** One request after the other over gRPC, each long enough to be caught. */
async function stream(load: SteadyLoad, watch: SilenceWatch, over: AbortSignal): Promise<void> {
  while (!over.aborted) {
    await load.send({ ...load.draw(LONG_TOKENS), door: "grpc" }, 0, watch.request());
  }
}

/** How long those streams were silent that were caught when a node stood still. */
class SilenceWatch {
  readonly silences: number[] = [];
  #frozenAt = Number.POSITIVE_INFINITY;

  /** The node stands still from now on. */
  begins(): void {
    this.#frozenAt = performance.now();
  }

  /** A request begins; call what this gives for each of its pieces. */
  request(): () => void {
    let heardAt: number | undefined;
    return () => {
      const now = performance.now();
      const caught = heardAt !== undefined && heardAt <= this.#frozenAt + NOTICED_MS && now > this.#frozenAt + NOTICED_MS;
      if (caught && now - heardAt! > NOTICED_MS) this.silences.push(now - Math.max(heardAt!, this.#frozenAt));
      heardAt = now;
    };
  }
}
