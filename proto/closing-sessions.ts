import { subscribe } from "node:diagnostics_channel";
import type { Http2Session, Http2Stream } from "node:http2";

type Answered = (error: Error | null, durationMs: number, payload: Buffer) => void;

const spared = new WeakSet<Http2Session>();
const NOTHING = Buffer.alloc(0);
let watching = false;

/**
 * Keepalive leaves connections alone that are being closed. After a GOAWAY what runs may run to its end, but Node sends no
 * PING any more and says that it failed. grpc-js takes that for a dead peer and cuts every call of the connection, in the
 * server that drains as well as in its clients (grpc-node's issue 3068).
 *
 * For all of the process, once: grpc-js shows its connections to nobody.
 */
export function spareClosingSessions(): void {
  if (watching) return;
  watching = true;
  for (const side of ["client", "server"]) subscribe(`http2.${side}.stream.created`, (message) => spare((message as Created).stream));
}

/** What Node tells of a new stream. */
interface Created {
  readonly stream: Http2Stream;
}

function spare({ session }: Http2Stream): void {
  if (!session || spared.has(session)) return;
  spared.add(session);
  const ping = session.ping.bind(session) as (...args: readonly unknown[]) => boolean;
  session.ping = (...args: readonly unknown[]) => {
    if (!session.closed || session.destroyed) return ping(...args);
    queueMicrotask(() => (args.at(-1) as Answered)(null, 0, NOTHING));
    return true;
  };
}
