import { isFault } from "#kernel";
import type { GenerateResponse } from "#proto";

/** A piece of the answer to one of the questions of a request. */
export interface BatchPiece {
  readonly question: number;
  readonly piece: GenerateResponse;
}

/** Of one request's questions, so many run at once: enough to keep a node's batch full, too few to fill a cluster's queues. */
const AT_ONCE_MAX = 8;

/**
 * Asks several questions, a few at a time, and gives their pieces as they come, those of one question in order. Pulls:
 * at most one piece of each question is held. What is refused for want of room while others of the same batch run is
 * asked again when one of them has ended, so that a batch never fails because of itself. The first other fault ends it;
 * ending it ends all: `abandon` stops those that are in the middle of something.
 */
export async function* askAll(
  ask: (question: number) => AsyncIterable<BatchPiece>,
  count: number,
  abandon: () => void,
): AsyncGenerator<BatchPiece> {
  const waiting = Array.from({ length: count }, (_, question) => question);
  const running = new Set<Asked>();
  const arrived: Arrival[] = [];
  let atOnce = AT_ONCE_MAX;
  let wake: () => void = () => undefined;
  const pull = (asked: Asked) => {
    const arrive = (arrival: Arrival) => {
      arrived.push(arrival);
      wake();
    };
    asked.pieces.next().then(
      (result) => arrive({ asked, result }),
      (error: unknown) => arrive({ asked, error }),
    );
  };
  try {
    for (;;) {
      while (running.size < atOnce && waiting.length > 0) {
        const question = waiting.shift()!;
        const asked: Asked = { question, pieces: ask(question)[Symbol.asyncIterator](), begun: false };
        running.add(asked);
        pull(asked);
      }
      if (running.size === 0) return;
      const next = arrived.shift();
      if (!next) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        continue;
      }
      const { asked, result } = next;
      if (!result) {
        running.delete(asked);
        if (asked.begun || running.size === 0 || !wantOfRoom(next.error)) throw next.error;
        atOnce = running.size;
        waiting.unshift(asked.question);
      } else if (result.done) {
        running.delete(asked);
      } else {
        asked.begun = true;
        yield result.value;
        pull(asked);
      }
    }
  } finally {
    abandon();
    await Promise.allSettled([...running].map(({ pieces }) => pieces.return?.()));
  }
}

interface Asked {
  readonly question: number;
  readonly pieces: AsyncIterator<BatchPiece>;
  begun: boolean;
}

type Arrival = { readonly asked: Asked } & (
  | { readonly result: IteratorResult<BatchPiece>; readonly error?: never }
  | { readonly result?: never; readonly error: unknown }
);

function wantOfRoom(error: unknown): boolean {
  return isFault(error) && error.code === "resource_exhausted" && error.retry.kind === "after";
}
