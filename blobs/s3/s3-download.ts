import { GetObjectCommand } from "@aws-sdk/client-s3";
import { type Bytes, deadlineSignal, Fault } from "#kernel";
import { orAborted } from "../or-aborted.ts";
import { notWhatWasStored } from "../verified-pieces.ts";
import type { S3Requests } from "./s3-requests.ts";

/** Which object, and what it is called in faults. */
export interface S3Object {
  readonly Bucket: string;
  readonly Key: string;
  readonly name: string;
}

/** What an answer says of the whole object. */
export interface ToldBlob {
  readonly sizeBytes: Bytes;
  /** Of what came by our own uploads. */
  readonly sha256: string | undefined;
}

interface Whole extends ToldBlob {
  readonly eTag: string | undefined;
}

interface Part {
  readonly whole: Whole;
  readonly body: AsyncIterable<Uint8Array> & { destroy?: () => void };
}

/**
 * The bytes of an object from `startBytes` on, however often the connection breaks: each time the rest is asked for, of the same version
 * (If-Match), and only tries without a byte of progress are counted.
 *
 * @param tell told once what the store says of the whole object, before the first piece
 * @throws Fault resource_unknown, blobs_unavailable; checksum_mismatch when the object was replaced meanwhile
 */
export async function* download(
  requests: S3Requests,
  object: S3Object,
  startBytes: Bytes,
  signal: AbortSignal,
  tell: (whole: ToldBlob) => void,
): AsyncGenerator<Uint8Array> {
  let at = startBytes;
  let whole: Whole | undefined;
  for (let tries = 1; ; tries++) {
    try {
      const part = await begin(requests, object, at, whole?.eTag, signal);
      if (!whole) tell(part.whole);
      whole ??= part.whole;
      for await (const piece of untilSilent(requests, part.body, signal)) {
        at += piece.byteLength;
        if (at > whole.sizeBytes) throw notWhatWasStored(object.name);
        tries = 0;
        requests.observer.moved("out", piece.byteLength);
        yield piece;
      }
      if (at === whole.sizeBytes) {
        requests.observer.requested("get", "ok");
        return;
      }
      throw new Error(`the answer ended after ${at} of ${whole.sizeBytes} bytes`);
    } catch (error) {
      if (error instanceof Fault) throw error;
      if (at === whole?.sizeBytes) return; // It broke after the last byte.
      const settled = await requests.failed("get", error, Math.max(1, tries), signal);
      if (settled?.kind === "missing") throw unknownBlob(object.name);
      if (settled?.kind === "changed") throw notWhatWasStored(object.name);
    }
  }
}

function unknownBlob(name: string): Fault {
  return new Fault("resource_unknown", `there is no ${name}`, { detail: { resource: name } });
}

async function begin(
  requests: S3Requests,
  { Bucket, Key, name }: S3Object,
  at: Bytes,
  eTag: string | undefined,
  signal: AbortSignal,
): Promise<Part> {
  const range = at > 0 ? { Range: `bytes=${at}-` } : {};
  const match = eTag === undefined ? {} : { IfMatch: eTag };
  const answer = await requests.client.send(new GetObjectCommand({ Bucket, Key, ...range, ...match }), { abortSignal: signal });
  const whole = wholeOf(answer, at, name);
  return { whole, body: answer.Body as Part["body"] };
}

function wholeOf(
  answer: {
    ContentRange?: string | undefined;
    ContentLength?: number | undefined;
    ETag?: string | undefined;
    Metadata?: Record<string, string> | undefined;
  },
  at: Bytes,
  name: string,
): Whole {
  const sha256 = answer.Metadata?.["sha256"];
  if (at === 0 && answer.ContentRange === undefined) {
    // Without its size nobody could tell the whole from a part. Real stores say it; proxies on the way may lose it once.
    if (answer.ContentLength === undefined) throw new Error("the answer does not say how long it is");
    return { eTag: answer.ETag, sizeBytes: answer.ContentLength, sha256 };
  }
  const [, start, size] = /^bytes (\d+)-\d+\/(\d+)$/.exec(answer.ContentRange ?? "") ?? [];
  if (Number(start) !== at) throw new Fault("blobs_unavailable", `the blob store gives another range of ${name} than was asked for`);
  return { eTag: answer.ETag, sizeBytes: Number(size), sha256 };
}

/** A connection that is open and says nothing is as good as lost. */
async function* untilSilent(requests: S3Requests, body: Part["body"], signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const pieces = body[Symbol.asyncIterator]();
  try {
    for (;;) {
      using patience = deadlineSignal(requests.clock, requests.retries.silenceMsMax, () => new Error("the answer stalled"), signal);
      const next = await orAborted(pieces.next(), patience.signal);
      if (next.done) return;
      yield next.value;
    }
  } finally {
    body.destroy?.();
  }
}
