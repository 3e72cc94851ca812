import { basename } from "node:path";
import { asBaseDigest, Fault, NAME_PATTERN, type NodeView, type Snapshot } from "#kernel";
import type { AddBaseRequest, Base } from "#proto";
import type { BaseRecord } from "../catalog/index.ts";
import type { ModelDeps } from "./delta-publication.ts";

/** Loads a folder on every node and registers it. Idempotent. @throws the first node's fault: then it is not registered */
export async function addBase(deps: ModelDeps, request: AddBaseRequest, snapshot: Snapshot, signal: AbortSignal): Promise<BaseRecord> {
  const { directory } = request;
  if (directory === "") throw new Fault("parameter_invalid", "directory is missing", { detail: { field: "directory" } });
  const name = request.name || basename(directory);
  if (!NAME_PATTERN.test(name)) {
    throw new Fault("parameter_invalid", `name "${name}" does not match ${NAME_PATTERN.source}`, { detail: { field: "name" } });
  }
  const ready = [...snapshot.nodes.values()].filter((node) => node.state === "ready");
  if (ready.length === 0) throw new Fault("no_ready_node", "no node is ready to load a base");
  const base = await loadOn(deps, ready, { name, directory }, signal);
  const record: BaseRecord = { ...base, digest: asBaseDigest(base.digest), name, directory, createdAt: deps.clock.now() };
  const known = deps.names.bases.find(name);
  if (known && known.digest !== record.digest) {
    throw new Fault("resource_exists", `the base ${name} exists with other content`, { detail: { resource: name } });
  }
  return (await deps.catalog.create("base", name, record)) ?? deps.catalog.view.get("base", name) ?? record;
}

/** Every base that can be asked for. */
export function listBases(deps: ModelDeps): readonly Base[] {
  return deps.names.bases.list().map(({ createdAt: _, ownNodes: __, ...base }) => base);
}

/** @throws Fault model_unknown, or resource_in_use while a delta refers to it */
export async function removeBase(deps: ModelDeps, name: string): Promise<void> {
  const base = deps.catalog.view.get("base", name);
  if (!base) throw new Fault("model_unknown", `the base "${name}" is not registered`, { detail: { resource: name } });
  for (const delta of deps.catalog.view.all("delta")) {
    if (delta.baseDigest === base.digest) {
      throw new Fault("resource_in_use", `deltas refer to the base ${name}`, { detail: { resource: name } });
    }
  }
  await deps.catalog.remove("base", name);
}

async function loadOn(
  deps: ModelDeps,
  nodes: readonly NodeView[],
  folder: { readonly name: string; readonly directory: string },
  signal: AbortSignal,
): Promise<Base> {
  const answers = await Promise.all(nodes.map((node) => deps.dispatcher.clientOf(node).attachBase(folder, signal)));
  const [first, ...others] = answers.map(({ base }) => base);
  if (!first || others.some((other) => other?.digest !== first.digest)) {
    throw new Fault("checksum_mismatch", `the nodes find different files in ${folder.directory}`, { detail: { file: folder.directory } });
  }
  return first;
}
