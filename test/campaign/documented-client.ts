import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Client, credentials, Metadata, type ServiceError } from "@grpc/grpc-js";
import { FinishReason, InferenceServiceService, statusToFault } from "#proto";
import { type Ask, type Attempt, AttemptRecorder } from "./ask.ts";
import { faultTold, generateRequest } from "./grpc-client.ts";
import { askOverHttp } from "./http-client.ts";
import { pause } from "./patience.ts";

/**
 * Clients as docs/drain.md tells customers to be: gRPC's own, with the addresses of all routers and the service config of
 * that page, and HTTP as OpenAI's libraries do it. Nothing else of ours is between them and the cluster.
 */
export interface DocumentedClient extends Disposable {
  /** `onPiece` hears of each piece when it comes. */
  overGrpc(ask: Ask, onPiece?: () => void): Promise<Attempt>;
  /** The last try decides; `tries` counts all. */
  overHttp(ask: Ask): Promise<Attempt & { readonly tries: number }>;
}

const CALL_MS_MAX = 60_000;
/** As in OpenAI's libraries: twice more, after half a second and a second, for what may be better then. */
const HTTP_TRIES_MAX = 3;
const HTTP_PAUSE_MS = 500;
/** As docs/drain.md says: less than a rollout waits between two routers. */
const RECONNECT_MS_MAX = 2_000;
const PAGE = join(import.meta.dirname, "../../docs/drain.md");

/** The JSON that docs/drain.md tells clients to use. */
export function documentedServiceConfig(): string {
  const block = /```json\n([\s\S]+?)```/.exec(readFileSync(PAGE, "utf8"))?.[1];
  if (block === undefined) throw new Error(`${PAGE} shows no service config`);
  return JSON.stringify(JSON.parse(block));
}

export function openDocumentedClient(routers: readonly { readonly grpc: string; readonly http: string }[], key: string): DocumentedClient {
  const target = `ipv4:${routers.map(({ grpc }) => grpc).join(",")}`;
  const client = new Client(target, credentials.createInsecure(), {
    "grpc.service_config": documentedServiceConfig(),
    "grpc.max_reconnect_backoff_ms": RECONNECT_MS_MAX,
  });
  const metadata = new Metadata();
  metadata.set("authorization", `Bearer ${key}`);
  let next = 0;
  return {
    overGrpc: (ask, onPiece) => generate(client, metadata, ask, onPiece),
    async overHttp(ask) {
      // Whoever stands before the routers gives a new connection to the next one.
      const first = next++;
      for (let tries = 1; ; tries++) {
        const attempt = await askOverHttp(routers[(first + tries) % routers.length]!.http, key, ask);
        if (attempt.ending === "completed" || attempt.firstPieceMs !== undefined || tries === HTTP_TRIES_MAX) return { ...attempt, tries };
        await pause(attempt.fault?.waitMs ?? HTTP_PAUSE_MS * 2 ** (tries - 1));
      }
    },
    [Symbol.dispose]: () => client.close(),
  };
}

async function generate(client: Client, metadata: Metadata, ask: Ask, onPiece: (() => void) | undefined): Promise<Attempt> {
  const recorder = new AttemptRecorder();
  const { path, requestSerialize, responseDeserialize } = InferenceServiceService.generate;
  const deadline = Date.now() + CALL_MS_MAX;
  const stream = client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, generateRequest(ask), metadata.clone(), {
    deadline,
  });
  try {
    for await (const { requestId, text, tokenIds, usage, finishReason } of stream) {
      onPiece?.();
      recorder.request(requestId);
      recorder.piece({ text, tokenIds, ...(usage && { usage }), finished: finishReason !== FinishReason.FINISH_REASON_UNSPECIFIED });
    }
    return recorder.end("completed");
  } catch (error) {
    return recorder.end("failed", faultTold(statusToFault(error as ServiceError)));
  }
}
