import type { NodeView, Snapshot } from "#kernel";
import type {
  AttachBaseRequest,
  AttachBaseResponse,
  AttachRequest,
  DetachRequest,
  InspectRequest,
  InspectResponse,
  NodeServiceCountTokensRequest,
  NodeServiceCountTokensResponse,
  NodeServiceGenerateRequest,
  NodeServiceGenerateResponse,
  NodeServiceScoreRequest,
  NodeServiceScoreResponse,
} from "#proto";

/** How the router reaches nodes. Channels to them are the transport's own business. */
export interface NodeTransport extends AsyncDisposable {
  to(node: NodeView): NodeClient;
  /** Lets go of every node that is not in the snapshot, or is there with another epoch or address. */
  keepOnly(snapshot: Snapshot): void;
}

/**
 * One node's service. A node that can't be reached, or went away in the middle, is Fault node_lost; an aborted signal
 * ends a call with its own reason, and the node's work within one step.
 */
export interface NodeClient {
  /** Pulls: what is not read holds the node's row back. */
  generate(request: NodeServiceGenerateRequest, signal: AbortSignal): AsyncIterable<NodeServiceGenerateResponse>;
  score(request: NodeServiceScoreRequest, signal: AbortSignal): Promise<NodeServiceScoreResponse>;
  countTokens(request: NodeServiceCountTokensRequest, signal: AbortSignal): Promise<NodeServiceCountTokensResponse>;
  attachBase(request: AttachBaseRequest, signal: AbortSignal): Promise<AttachBaseResponse>;
  inspect(request: InspectRequest, signal: AbortSignal): Promise<InspectResponse>;
  /** Brings a delta to RAM, and pins it there or not. */
  attach(request: Partial<AttachRequest> & Pick<AttachRequest, "delta" | "pinned">, signal: AbortSignal): Promise<void>;
  /** Drops a delta from all tiers, unless it says otherwise. */
  detach(request: Partial<DetachRequest> & Pick<DetachRequest, "delta">, signal: AbortSignal): Promise<void>;
  drain(signal: AbortSignal): Promise<void>;
  resume(signal: AbortSignal): Promise<void>;
}
