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
  attach(request: AttachRequest, signal: AbortSignal): Promise<void>;
  detach(request: DetachRequest, signal: AbortSignal): Promise<void>;
  drain(signal: AbortSignal): Promise<void>;
}
