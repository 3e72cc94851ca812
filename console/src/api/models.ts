import { get } from "./client.ts";

/** `GET /v1/models`: bases, and the caller's own deltas and aliases. */
export interface Model {
  readonly id: string;
  readonly owned_by: string;
  /** Seconds; 0 for a base. */
  readonly created: number;
  /** What an alias points at; itself for the others. */
  readonly root: string;
  /** The base; null for a base. */
  readonly parent: string | null;
}

export async function listModels(signal: AbortSignal): Promise<readonly Model[]> {
  const { data } = await get<{ readonly data: readonly Model[] }>("/v1/models", {}, signal);
  return data;
}

export function baseOf(models: readonly Model[], name: string): string {
  return models.find(({ id }) => id === name)?.parent ?? name;
}
