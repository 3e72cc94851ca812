import { createHash } from "node:crypto";
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  HeadObjectCommand,
  PutObjectCommand,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { type Bytes, Fault, MIB } from "#kernel";
import { mapAtMost } from "../map-at-most.ts";
import type { StagedFile } from "../staged-file.ts";
import type { S3Object } from "./s3-download.ts";
import type { S3Requests } from "./s3-requests.ts";

export interface S3UploadLimits {
  /** What is larger goes up in parts of this size, so that a break costs one part. At least 5 MiB in real stores. */
  readonly partBytes: Bytes;
  /** Of one upload at a time: each is in memory while it is sent. */
  readonly partsAtOnce: number;
}

export const S3_UPLOAD_LIMITS: S3UploadLimits = { partBytes: 8 * MIB, partsAtOnce: 4 };

/** S3's own limit. */
const PARTS_MAX = 10_000;

/** Puts a finished file under the object's name. Seen as a whole, or not at all. @throws Fault blobs_unavailable */
export async function upload(
  requests: S3Requests,
  object: S3Object,
  file: StagedFile,
  limits: S3UploadLimits,
  signal: AbortSignal | undefined,
): Promise<void> {
  const sha256 = await file.finish();
  if (file.sizeBytes > limits.partBytes) await uploadInParts(requests, object, file, sha256, limits, signal);
  else await uploadAtOnce(requests, object, file, sha256, signal);
  requests.observer.moved("in", file.sizeBytes);
}

async function uploadAtOnce(
  requests: S3Requests,
  { Bucket, Key }: S3Object,
  file: StagedFile,
  sha256: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  using _place = await requests.bodies.enter(signal);
  const body = await file.slice(0, file.sizeBytes);
  const put = { Bucket, Key, Body: body, Metadata: { sha256 }, ContentType: CONTENT_TYPE, ChecksumSHA256: base64Of(sha256) };
  await requests.demand("put", signal, (abortSignal) => requests.client.send(new PutObjectCommand(put), withSignal(abortSignal)));
}

const CONTENT_TYPE = "application/octet-stream";

interface PartPlan {
  readonly number: number;
  readonly start: Bytes;
  readonly end: Bytes;
}

async function uploadInParts(
  requests: S3Requests,
  object: S3Object,
  file: StagedFile,
  sha256: string,
  limits: S3UploadLimits,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { client } = requests;
  const { Bucket, Key } = object;
  const create = { Bucket, Key, Metadata: { sha256 }, ContentType: CONTENT_TYPE, ChecksumAlgorithm: "SHA256" as const };
  const { UploadId } = await requests.demand("create_upload", signal, (abortSignal) =>
    client.send(new CreateMultipartUploadCommand(create), withSignal(abortSignal)),
  );
  if (UploadId === undefined) throw new Fault("blobs_unavailable", "the blob store began an upload without naming it");
  const id = { Bucket, Key, UploadId };
  try {
    const plans = partPlans(file.sizeBytes, limits.partBytes);
    const parts = await mapAtMost(limits.partsAtOnce, plans, (plan) => uploadPart(requests, id, file, plan, signal));
    await complete(requests, object, id, parts, { sha256, sizeBytes: file.sizeBytes }, signal);
  } catch (error) {
    // Nobody sees its parts, but they are paid for. Should this fail too, they go with `removeUnfinished`.
    await client.send(new AbortMultipartUploadCommand(id)).catch(() => undefined);
    throw error;
  }
}

interface UploadIdentity {
  readonly Bucket: string;
  readonly Key: string;
  readonly UploadId: string;
}

interface UploadedPart {
  readonly PartNumber: number;
  readonly ETag: string | undefined;
  readonly ChecksumSHA256: string;
}

async function uploadPart(
  requests: S3Requests,
  id: UploadIdentity,
  file: StagedFile,
  plan: PartPlan,
  signal: AbortSignal | undefined,
): Promise<UploadedPart> {
  using _place = await requests.bodies.enter(signal);
  const Body = await file.slice(plan.start, plan.end);
  const ChecksumSHA256 = createHash("sha256").update(Body).digest("base64");
  const part = { ...id, PartNumber: plan.number, Body, ChecksumSHA256 };
  const { ETag } = await requests.demand("put_part", signal, (abortSignal) =>
    requests.client.send(new UploadPartCommand(part), withSignal(abortSignal)),
  );
  return { PartNumber: plan.number, ETag, ChecksumSHA256 };
}

/** A completion whose answer was lost is found done when it is tried again: then the upload is gone and the object there. */
async function complete(
  requests: S3Requests,
  { name }: S3Object,
  id: UploadIdentity,
  parts: readonly UploadedPart[],
  whole: { readonly sha256: string; readonly sizeBytes: Bytes },
  signal: AbortSignal | undefined,
): Promise<void> {
  const completion = { ...id, MultipartUpload: { Parts: parts.map((part) => ({ ...part, ETag: part.ETag })) } };
  await requests.ask("complete_upload", signal, (abortSignal) =>
    requests.client.send(new CompleteMultipartUploadCommand(completion as never), withSignal(abortSignal)),
  );
  const { Bucket, Key } = id;
  const head = await requests.ask("head", signal, (abortSignal) =>
    requests.client.send(new HeadObjectCommand({ Bucket, Key }), withSignal(abortSignal)),
  );
  const stored = head.kind === "answer" ? head.answer : undefined;
  if (stored?.Metadata?.["sha256"] !== whole.sha256 || stored.ContentLength !== whole.sizeBytes)
    throw new Fault("blobs_unavailable", `the blob store lost the upload of ${name}`);
}

function partPlans(sizeBytes: Bytes, partBytesMin: Bytes): readonly PartPlan[] {
  const partBytes = Math.max(partBytesMin, Math.ceil(sizeBytes / PARTS_MAX));
  return Array.from({ length: Math.ceil(sizeBytes / partBytes) }, (_, index) => ({
    number: index + 1,
    start: index * partBytes,
    end: Math.min(sizeBytes, (index + 1) * partBytes),
  }));
}

function base64Of(hex: string): string {
  return Buffer.from(hex, "hex").toString("base64");
}

export function withSignal(abortSignal: AbortSignal | undefined): { readonly abortSignal?: AbortSignal } {
  return abortSignal ? { abortSignal } : {};
}
