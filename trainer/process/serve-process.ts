import { setPriority } from "node:os";
import { setImmediate as nextTurn } from "node:timers/promises";
import { assert, faultMessage, systemClock } from "#kernel";
import { asToTrainer, type FromTrainer } from "./training-messages.ts";
import { TrainingServer } from "./training-server.ts";

/**
 * Serves one training over this process's channel to its parent, and ends with it. A process whose parent is gone ends
 * at once and writes nothing more: somebody else may already go on from its last checkpoint.
 */
export function serveInThisProcess(): void {
  assert(process.send, "the trainer's process is started with a channel");
  let server: TrainingServer | undefined;
  process.on("message", (value) => {
    const message = asToTrainer(value);
    if (message.kind === "start") {
      // Threads are as nice as the one that makes them; the runtime's are made later.
      setPriority(message.start.niceness);
      server = new TrainingServer({ clock: systemClock, send: (news) => send(news), nextTurn: () => nextTurn() }, message.start);
      return;
    }
    assert(server, "the first message starts the training");
    if (message.kind === "run") void run(server);
    else server.receive(message);
  });
  process.on("disconnect", () => process.exit(0));
  // Ctrl-C and service managers signal the whole group; whoever started the training pauses it first.
  for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => undefined);
}

/** The last word says how it ended. */
async function run(server: TrainingServer): Promise<void> {
  let lastWord: FromTrainer;
  try {
    lastWord = { kind: "report", report: await server.run() };
  } catch (error) {
    lastWord = { kind: "failed", fault: faultMessage(error) };
  }
  send(lastWord, () => process.exit(0));
}

/** What can't be sent has no one to read it: the parent is gone, and the disconnect that follows ends this process. */
function send(message: FromTrainer, written: () => void = () => undefined): void {
  if (process.connected) process.send?.(message, undefined, undefined, written);
  else written();
}
