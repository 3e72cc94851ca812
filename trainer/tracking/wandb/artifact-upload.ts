import { type Bytes, Fault, GIB } from "#kernel";
import type { TrackedRun } from "../contract.ts";
import { type Artifact, artifactDigest, clientIds, contentDigest } from "./artifacts.ts";
import { at, textAt, type WandbClient } from "./graphql.ts";
import { COMMIT_ARTIFACT, CREATE_ARTIFACT, CREATE_ARTIFACT_FILES, CREATE_MANIFEST, USE_ARTIFACT } from "./operations.ts";
import type { RemoteRun } from "./remote-run.ts";

/** From here on W&B wants an upload in parts, which training files are too small for. */
export const ARTIFACT_BYTES_MAX: Bytes = 2 * GIB;

/** Manifest name, storage policy and layout: W&B's words for a whole artifact kept by W&B itself. */
const MANIFEST_FILE = "wandb_manifest.json";

/**
 * Uploads one artifact and ties it to the run: create → file → manifest → commit → use. Content that W&B has already is not sent
 * again. Idempotent: a repeated call goes on with what the first one left. @throws Fault of {@link WandbClient}
 */
export async function uploadArtifact(
  client: WandbClient,
  run: TrackedRun,
  remote: RemoteRun,
  artifact: Artifact,
  signal: AbortSignal,
): Promise<void> {
  const content = await artifact.content();
  if (content.size > ARTIFACT_BYTES_MAX) {
    throw new Fault("tracker_refused", `${artifact.name} has ${content.size} bytes, more than ${ARTIFACT_BYTES_MAX}`);
  }
  const fileDigest = await contentDigest(content);
  const input = createInput(run, remote, artifact, fileDigest);
  const created = at(await client.query(CREATE_ARTIFACT, { input }, signal), "createArtifact", "artifact");
  const artifactID = textAt(created, "id");
  if (textAt(created, "state") !== "COMMITTED") {
    const baseArtifactID = (at(created, "artifactSequence", "latestArtifact", "id") as string | undefined) ?? null;
    const manifestOf = async (digest: string, includeUpload: boolean) => {
      const where = { entityName: remote.entity, projectName: remote.project, runName: remote.id };
      const manifest = { artifactID, baseArtifactID, name: MANIFEST_FILE, digest, manifestType: "FULL", includeUpload };
      return at(await client.query(CREATE_MANIFEST, { ...where, ...manifest }, signal), "createArtifactManifest", "artifactManifest");
    };
    const artifactManifestID = textAt(await manifestOf("", false), "id");
    const birthArtifactID = await uploadFile(
      client,
      { artifactID, artifactManifestID, name: artifact.filename, md5: fileDigest },
      content,
      signal,
    );
    const manifest = manifestContent(artifact.filename, fileDigest, content.size, birthArtifactID);
    await upload(client, at(await manifestOf(await contentDigest(manifest), true), "file"), manifest, signal);
    await client.query(COMMIT_ARTIFACT, { artifactID }, signal);
  }
  if (artifact.role === "input") {
    const use = { artifactID, entityName: remote.entity, projectName: remote.project, runName: remote.id };
    await client.query(USE_ARTIFACT, { input: use }, signal);
  }
}

function createInput(run: TrackedRun, remote: RemoteRun, artifact: Artifact, fileDigest: string) {
  const ids = clientIds(run, artifact, fileDigest);
  return {
    entityName: remote.entity,
    projectName: remote.project,
    artifactTypeName: artifact.type,
    artifactCollectionName: artifact.name,
    ...(artifact.role === "output" && { runName: remote.id }), // What a run only uses, it did not make.
    digest: artifactDigest(artifact.filename, fileDigest),
    digestAlgorithm: "MANIFEST_MD5",
    aliases: artifact.aliases.map((alias) => ({ artifactCollectionName: artifact.name, alias })),
    metadata: JSON.stringify(artifact.metadata),
    enableDigestDeduplication: true,
    clientID: ids.version,
    sequenceClientID: ids.sequence,
  };
}

/** Gives the artifact that the content was first part of. */
async function uploadFile(
  client: WandbClient,
  file: { readonly artifactID: string; readonly artifactManifestID: string; readonly name: string; readonly md5: string },
  content: Blob,
  signal: AbortSignal,
): Promise<string> {
  const data = await client.query(CREATE_ARTIFACT_FILES, { artifactFiles: [file], storageLayout: "V2" }, signal);
  const edges = at(data, "createArtifactFiles", "files", "edges");
  const node = at(Array.isArray(edges) ? edges[0] : undefined, "node");
  await upload(client, node, content, signal);
  return textAt(node, "artifact", "id");
}

/** No address: the server has the content. */
async function upload(client: WandbClient, target: ReturnType<typeof at>, content: Blob, signal: AbortSignal): Promise<void> {
  const url = at(target, "uploadUrl");
  if (typeof url !== "string") return;
  const headers = at(target, "uploadHeaders");
  await client.upload(url, Array.isArray(headers) ? headers.map(String) : [], content, signal);
}

function manifestContent(filename: string, digest: string, size: Bytes, birthArtifactID: string): Blob {
  const contents = { [filename]: { digest, size, birthArtifactID, skip_cache: true } };
  const manifest = { version: 1, storagePolicy: "wandb-storage-policy-v1", storagePolicyConfig: { storageLayout: "V2" }, contents };
  return new Blob([JSON.stringify(manifest)]);
}
