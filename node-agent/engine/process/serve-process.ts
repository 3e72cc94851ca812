import { setImmediate as nextTurn } from "node:timers/promises";
import { assert, faultMessage, systemClock } from "#kernel";
import { HandOverReader } from "./hand-over-file.ts";
import { asToEngine, type EngineStart, type FromEngine, HAND_OVER_DESCRIPTOR } from "./process-messages.ts";
import { EngineServer, type ServeDeps } from "./serve-engine.ts";

/**
 * Serves an engine over this process's channel to its parent, until the parent says stop or is gone. To be called at
 * the start of a process that was forked for it.
 */
export function serveInThisProcess(openRunner: ServeDeps["openRunner"]): void {
  assert(process.send, "the engine's process is started by the node agent, with a channel");
  const handOver = new HandOverReader(HAND_OVER_DESCRIPTOR);
  const server = new EngineServer({
    clock: systemClock,
    send: (message) => send(message),
    nextTurn: () => nextTurn(),
    openRunner,
    takeHanded: (delta) => handOver.take(delta),
  });
  const stop = async () => {
    await server[Symbol.asyncDispose]();
    process.exit(0);
  };
  process.on("message", (value) => {
    const message = asToEngine(value);
    if (message.kind === "start") void run(server, message.start);
    else if (message.kind === "stop") void stop();
    else server.receive(message);
  });
  process.on("disconnect", () => void stop());
  // Ctrl-C and service managers signal the whole group; the agent drains first and then says stop, or kills.
  for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => undefined);
}

/** Returns only when the engine can't go on; then this process says why, and ends. */
async function run(server: EngineServer, start: EngineStart): Promise<void> {
  let lastWord: FromEngine;
  try {
    const engine = await server.start(start);
    lastWord = { kind: "lost", message: (await engine.lost).message };
  } catch (error) {
    lastWord = { kind: "failed", fault: faultMessage(error) };
  }
  send(lastWord, () => process.exit(1));
}

/** What can't be sent has no one to read it: the parent is gone, and the disconnect that follows ends this process. */
function send(message: FromEngine, written: () => void = () => undefined): void {
  if (process.connected) process.send?.(message, undefined, undefined, written);
  else written();
}
