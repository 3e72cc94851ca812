import { createHash } from "node:crypto";
import { sha256Hex } from "#kernel";
import type { JsonFields, TrackedFile, TrackedRun } from "../contract.ts";

/** Files with a name and versions in W&B: one file each here. */
export interface Artifact {
  readonly name: string;
  readonly type: string;
  /** Whether the run was made from it, or made it. */
  readonly role: "input" | "output";
  readonly aliases: readonly string[];
  readonly metadata: JsonFields;
  /** The one file's name in it. */
  readonly filename: string;
  content(): Promise<Blob>;
}

/** The job's files, as `openai wandb sync` named them: `train-{filename}` and `valid-{filename}`, found again by the file's id. */
export function fileArtifacts(run: TrackedRun): readonly Artifact[] {
  return [
    ...(run.trainingFile ? [fileArtifact("train", "training_files", run.trainingFile)] : []),
    ...(run.validationFile ? [fileArtifact("valid", "validation_files", run.validationFile)] : []),
  ];
}

/** The job itself, as `openai wandb sync` kept it. */
export function detailsArtifact(run: TrackedRun): Artifact {
  return {
    name: "fine_tune_details",
    type: "fine_tune_details",
    role: "output",
    aliases: ["latest", run.id],
    metadata: run.config,
    filename: "fine_tune_details.json",
    content: async () => new Blob([JSON.stringify(run.config, null, 2)]),
  };
}

function fileArtifact(prefix: string, type: string, file: TrackedFile): Artifact {
  return {
    name: artifactName(`${prefix}-${file.filename}`),
    type,
    role: "input",
    aliases: ["latest", file.id],
    metadata: { ...file.metadata, ...(file.examples !== undefined && { items: file.examples }) },
    filename: file.filename.replace(/^.*[/\\]/, "") || file.id,
    content: file.content,
  };
}

/** W&B takes letters, digits, `_`, `-` and `.`, 128 of them. */
function artifactName(text: string): string {
  return text.replace(/[^a-zA-Z0-9_.-]/g, "_").slice(0, 128);
}

/** MD5 in base64: how W&B names content. */
export async function contentDigest(content: Blob): Promise<string> {
  const hash = createHash("md5");
  for await (const chunk of content.stream()) hash.update(chunk);
  return hash.digest("base64");
}

/** The digest of an artifact of one file. Source: W&B's manifest, version 1. */
export function artifactDigest(filename: string, digest: string): string {
  return createHash("md5").update(`wandb-artifact-manifest-v1\n${filename}:${digest}\n`).digest("hex");
}

/**
 * 128 characters that W&B wants to be unique to one artifact, and to one line of versions, per client. Made from what
 * they stand for: an upload that is repeated is then the same upload.
 */
export function clientIds(run: TrackedRun, artifact: Artifact, digest: string): { readonly version: string; readonly sequence: string } {
  const id = (text: string) => sha256Hex(`${text}/1`) + sha256Hex(`${text}/2`);
  return { version: id(`${run.id}/${artifact.name}/${digest}`), sequence: id(`${run.id}/${artifact.name}`) };
}
