import { Fault } from "#kernel";
import type { Json, JsonFields } from "../contract.ts";
import { createServiceClient, type ServiceDeps } from "../service-client.ts";
import type { WandbSettings } from "./settings.ts";

/** W&B's API: its GraphQL operations, the stream of a run's files, and uploads to addresses that it gives. */
export interface WandbClient {
  /** @throws Fault tracker_unreachable, tracker_refused */
  query(document: string, variables: JsonFields, signal: AbortSignal): Promise<JsonFields>;
  streamFiles(path: string, body: JsonFields, signal: AbortSignal): Promise<JsonFields>;
  /** `headers` as W&B gives them: `name:value`. */
  upload(url: string, headers: readonly string[], content: Blob, signal: AbortSignal): Promise<void>;
}

/** @throws Fault tracker_refused without a key */
export function createWandbClient(deps: ServiceDeps, settings: WandbSettings): WandbClient {
  if (settings.apiKey === undefined) {
    throw new Fault(
      "tracker_refused",
      `no W&B key for ${settings.baseUrl}: set WANDB_API_KEY, run "wandb login", or set WANDB_MODE=offline`,
    );
  }
  const authorization = `Basic ${Buffer.from(`api:${settings.apiKey}`).toString("base64")}`;
  const service = createServiceClient(deps, { name: "W&B", baseUrl: settings.baseUrl, headers: { authorization } });
  return {
    async query(document, variables, signal) {
      const { data, errors } = await service.call("POST", "/graphql", { query: document, variables }, signal);
      if (Array.isArray(errors) && errors.length > 0) throw new Fault("tracker_refused", `W&B: ${errorMessage(errors)}`);
      return fields(data);
    },
    streamFiles: (path, body, signal) => service.call("POST", path, body, signal),
    upload: (url, headers, content, signal) => service.upload(url, parseHeaders(headers), content, signal),
  };
}

function errorMessage(errors: readonly Json[]): string {
  return errors.map((error) => String(fields(error)["message"] ?? JSON.stringify(error))).join("; ");
}

function parseHeaders(headers: readonly string[]): Record<string, string> {
  return Object.fromEntries(headers.map((header) => [header.slice(0, header.indexOf(":")), header.slice(header.indexOf(":") + 1).trim()]));
}

/** The field at `path` of an answer, for reading what a service may or may not say. */
export function at(value: Json | undefined, ...path: readonly string[]): Json | undefined {
  return path.reduce<Json | undefined>((inner, name) => fields(inner)[name], value);
}

function fields(value: Json | undefined): JsonFields {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as JsonFields) : {};
}

/** The string at `path`. @throws Fault tracker_refused naming it when it is not there */
export function textAt(value: Json | undefined, ...path: readonly string[]): string {
  const text = at(value, ...path);
  if (typeof text !== "string") throw new Fault("tracker_refused", `W&B's answer lacks ${path.join(".")}`);
  return text;
}
