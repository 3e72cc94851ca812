import { type Millis, serveInTurn, TURN_SPARE, VirtualTokenCounter } from "#kernel";
import { type Ahead, roomFor, SLOT_WAIT_MS_MAX } from "../row-room.ts";
import type { Workload } from "./delta-catalog.ts";
import type { QueueRules } from "./policy.ts";
import type { SimNode } from "./sim-node.ts";

/** As engines have it. */
const QUEUE_DEPTH_MAX = 256;

export interface RouterQueueDeps {
  readonly workload: Workload;
  readonly nodes: readonly SimNode[];
  readonly rules: QueueRules;
  /** Sends a request to a node that has room for it; false when there is none. */
  readonly tryPlace: (request: number, atMs: Millis, limits: PlaceLimits) => boolean;
}

/** Where a request may go now. */
export interface PlaceLimits {
  readonly hasRoom: (node: number) => boolean;
  readonly needsSlot: boolean;
}

/**
 * Where requests wait that no node takes now. By tenants' turns it is what production's routers do: the same counter, order, rows ahead and rule
 * for slots; a delta, with all its versions, is a tenant. By arrival it is the queue of textbooks.
 */
export class RouterQueue {
  readonly #deps: RouterQueueDeps;
  readonly #turns = new VirtualTokenCounter<number>({ spare: TURN_SPARE });
  /** By tenant, in order of arrival. */
  readonly #lines = new Map<number, number[]>();
  readonly #rooms: Readonly<Record<Ahead, (node: number) => boolean>>;
  #depth = 0;
  /** Whether whoever was tried last found no row anywhere. */
  #isFull = false;

  constructor(deps: RouterQueueDeps) {
    this.#deps = deps;
    const room = (ahead: Ahead) => (node: number) => {
      const { alive, model, rowsAhead } = deps.nodes[node]!;
      return alive && roomFor(ahead)({ rowsMax: model.rowsMax, queueDepthMax: QUEUE_DEPTH_MAX }, rowsAhead);
    };
    this.#rooms = { not: room("not"), alone: room("alone"), below_share: room("below_share") };
  }

  arrived(request: number, atMs: Millis): void {
    const tenant = this.#tenantOf(request);
    const line = this.#lines.get(tenant);
    if (line) line.push(request);
    else this.#lines.set(tenant, [request]);
    this.#turns.arrived(tenant);
    this.#depth++;
    if (this.#depth === 1 || this.#ahead(tenant) !== "not") this.serve(atMs);
    else if (!this.#isFull && !line) this.#serveFirstOf(tenant, atMs);
  }

  finished(request: number): void {
    const tenant = this.#tenantOf(request);
    this.#turns.produced(tenant, this.#deps.workload.outputTokens[request]!);
    this.#turns.ended(tenant);
  }

  /** A row has ended, or a node is back. */
  serve(atMs: Millis): void {
    if (this.#depth > 0) serveInTurn(this.#turns, (tenant) => this.#serveFirstOf(tenant, atMs));
  }

  #serveFirstOf(tenant: number, atMs: Millis) {
    const { workload, nodes, rules, tryPlace } = this.#deps;
    const line = this.#lines.get(tenant)!;
    const request = line[0]!;
    const hasRoom = this.#rooms[this.#ahead(tenant)];
    const needsSlot = rules.needsSlot && atMs - workload.arrivedAtMs[request]! < SLOT_WAIT_MS_MAX;
    this.#isFull = false;
    if (tryPlace(request, atMs, { hasRoom, needsSlot })) {
      line.shift();
      if (line.length === 0) this.#lines.delete(tenant);
      this.#depth--;
      this.#turns.started(tenant, workload.promptTokens[request]!);
      return "served";
    }
    this.#isFull = !nodes.some(({ index }) => hasRoom(index));
    return this.#isFull ? "full" : "passed";
  }

  #ahead(tenant: number): Ahead {
    return this.#deps.rules.order === "turns" && this.#turns.belowShare(tenant) ? "below_share" : "not";
  }

  /** By arrival, all requests are of one tenant. */
  #tenantOf(request: number): number {
    const { workload, rules } = this.#deps;
    if (rules.order === "arrival") return 0;
    let delta = workload.delta[request]!;
    while (workload.deltas.replaces[delta]! >= 0) delta = workload.deltas.replaces[delta]!;
    return delta;
  }
}
