import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { type Logger, pino } from "pino";
import { collectDefaultMetrics, Registry } from "prom-client";
import type { z } from "zod";
import { type Clock, Fault, type Random, shapeWords, systemClock, systemRandom, type Tracer } from "#kernel";
import { EXIT } from "./exit-code.ts";

/** What every part of a cluster is built from. Made here, in the composition root, and handed down. */
export interface ComponentDeps {
  readonly clock: Clock;
  readonly random: Random;
  /** Unpredictable bytes, for keys. */
  readonly randomSecret: (sizeBytes: number) => Buffer;
  readonly log: Logger;
  readonly registry: Registry;
  /** Default: nothing is traced. */
  readonly tracer?: Tracer;
}

/** @param level what is logged, unless DELTAPLANE_LOG says otherwise: a part that speaks to people itself logs only what goes wrong */
export function createDeps(name: string, level: "info" | "warn" = "info"): ComponentDeps {
  const registry = new Registry();
  registry.setDefaultLabels({ component: name });
  collectDefaultMetrics({ register: registry });
  const log = pino({ name, level: process.env["DELTAPLANE_LOG"] ?? level }, pino.destination({ fd: 2, sync: false }));
  return { clock: systemClock, random: systemRandom(), randomSecret: randomBytes, log, registry };
}

/** Aborts at SIGINT or SIGTERM; a second signal ends the process at once. */
function stopSignal(): AbortSignal {
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => {
      if (stop.signal.aborted) process.exit(EXIT.interrupted);
      stop.abort(new Fault("client_gone", "interrupted"));
    });
  }
  return stop.signal;
}

/** Starts a part, waits for the signal to stop, and drains it. A signal during the start ends the start. */
export async function runUntilStopped(start: (signal: AbortSignal) => Promise<AsyncDisposable>): Promise<void> {
  const stop = stopSignal();
  await using _running = await start(stop);
  if (!stop.aborted) await once(stop, "abort");
}

/**
 * Lets a part that a cluster started end with that cluster, however that ended: the channel between them closes then. Call
 * it before anything that takes time, for a part that still starts is an orphan too. Does nothing when nobody forked it.
 */
export function endWithParent(): void {
  const end = () => process.kill(process.pid, "SIGTERM");
  if (process.connected === false) end();
  else process.once("disconnect", end);
  process.channel?.unref(); // Listening keeps the channel open, and with it a process that has nothing left to do.
}

/**
 * A component's options: the `--config` file, overridden by the environment and flags, validated as a whole.
 * Commander already merged environment and flags into `flags`.
 */
export function readOptions<T>(schema: z.ZodType<T>, flags: Readonly<Record<string, unknown>>): T {
  const { config, ...given } = flags;
  const merged = { ...(typeof config === "string" ? readConfig(config) : {}), ...given };
  const result = schema.safeParse(merged, { error: shapeWords });
  if (result.success) return Object.freeze(result.data);
  const issue = result.error.issues[0]!;
  const field = issue.path.join(".").replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`); // As its flag is written.
  throw new Fault("parameter_invalid", `option ${field || issue.code}: ${issue.message}`, { detail: { field } });
}

function readConfig(file: string): Record<string, unknown> {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as Record<string, unknown>;
  } catch (cause) {
    throw new Fault("file_malformed", `${file} cannot be read as JSON: ${String(cause)}`, { detail: { file }, cause });
  }
}

/** A secret from a file (`--…-file`), so that it never stands in a process list. It travels as a bearer token: one word. */
export function readSecret(file: string): string {
  let secret: string;
  try {
    secret = readFileSync(file, "utf8").trim();
  } catch (cause) {
    throw new Fault("file_missing", `${file} cannot be read`, { detail: { file }, cause });
  }
  if (!/^[\x21-\x7e]{16,}$/.test(secret)) {
    throw new Fault("file_malformed", `${file} must hold one word of 16 or more printable ASCII characters`, { detail: { file } });
  }
  return secret;
}
