import { mkdir, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import {
  AbortMultipartUploadCommand,
  DeleteObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  S3Client,
} from "@aws-sdk/client-s3";
import { type Bytes, type Clock, type Millis, type Random, SECOND } from "#kernel";
import { checkBlobName, checkBlobPrefix, isBlobName } from "../blob-name.ts";
import { type BlobObserver, type BlobStore, type ExpectedBlob, type IncomingBlob, type StoredBlob, UNOBSERVED } from "../contract.ts";
import { StagedFile } from "../staged-file.ts";
import { verifiedPieces } from "../verified-pieces.ts";
import { download, type S3Object, type ToldBlob } from "./s3-download.ts";
import type { S3Place } from "./s3-place.ts";
import { S3_RETRIES, S3Requests, type S3Retries } from "./s3-requests.ts";
import { S3_UPLOAD_LIMITS, type S3UploadLimits, upload, withSignal } from "./s3-upload.ts";

export interface S3StoreDeps {
  readonly clock: Clock;
  readonly random: Random;
  /** Gives names that were never given. */
  readonly newName: () => string;
  readonly observer?: BlobObserver;
}

export interface S3StoreOptions {
  readonly place: S3Place;
  /** Where uploads lie until they are whole and hashed; only then do they go to the store, so that what breaks off never does. */
  readonly spoolDirectory: string;
  readonly retries?: S3Retries;
  readonly uploads?: S3UploadLimits;
}

const CONNECT_MS_MAX: Millis = 5 * SECOND;
/** From a request to its answer's headers: a part of 8 MiB on a slow line. */
const ANSWER_MS_MAX: Millis = 60 * SECOND;
/** All transfers of one process together. */
const SOCKETS_MAX = 64;

/** Blobs as objects of an S3-compatible store. */
export async function openS3Store(deps: S3StoreDeps, options: S3StoreOptions): Promise<BlobStore> {
  const { place, spoolDirectory } = options;
  await mkdir(spoolDirectory, { recursive: true });
  const agent = { maxSockets: SOCKETS_MAX, keepAlive: true };
  const client = new S3Client({
    ...(place.endpoint !== undefined && { endpoint: place.endpoint }),
    ...(place.region !== undefined && { region: place.region }),
    forcePathStyle: place.pathStyle,
    // Tried again by S3Requests, with our clock, our signals and our count.
    maxAttempts: 1,
    // We send and check SHA-256 ourselves; the SDK's own default is not understood by every compatible store.
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
    requestHandler: {
      connectionTimeout: CONNECT_MS_MAX,
      requestTimeout: ANSWER_MS_MAX,
      throwOnRequestTimeout: true,
      httpAgent: agent,
      httpsAgent: agent,
    },
  });
  const requests = new S3Requests(client, { ...deps, observer: deps.observer ?? UNOBSERVED }, options.retries ?? S3_RETRIES);
  const objects = new S3Objects(place);
  return {
    url: `s3://${place.bucket}/${place.prefix}`,
    receive: (label, sizeBytesMax) =>
      receive(requests, objects, join(spoolDirectory, deps.newName()), label, sizeBytesMax, options.uploads),
    async find(name, signal) {
      const { Bucket, Key } = objects.of(name);
      const head = await requests.ask("head", signal, (abortSignal) =>
        client.send(new HeadObjectCommand({ Bucket, Key }), withSignal(abortSignal)),
      );
      if (head.kind !== "answer") return undefined;
      const { ContentLength = 0, LastModified, Metadata } = head.answer;
      const sha256 = Metadata?.["sha256"];
      return { sizeBytes: ContentLength, writtenAt: LastModified?.getTime() ?? 0, ...(sha256 !== undefined && { sha256 }) };
    },
    read: (name, expected, signal) => read(requests, objects.of(name), expected, signal),
    readFrom: (name, startBytes, signal) => download(requests, objects.of(name), startBytes, signal, () => undefined),
    async remove(name) {
      const { Bucket, Key } = objects.of(name);
      await requests.ask("delete", undefined, () => client.send(new DeleteObjectCommand({ Bucket, Key })));
    },
    list: (prefix, signal) => list(requests, objects, prefix, signal),
    async removeUnfinished(before, signal) {
      await removeSpooled(spoolDirectory, before);
      await abortUploads(requests, objects, before, signal);
    },
    async [Symbol.asyncDispose]() {
      client.destroy();
    },
  };
}

/** Names of blobs as keys of objects. */
class S3Objects {
  readonly bucket: string;
  readonly #prefix: string;

  constructor({ bucket, prefix }: S3Place) {
    this.bucket = bucket;
    this.#prefix = prefix === "" ? "" : `${prefix}/`;
  }

  of(name: string): S3Object {
    checkBlobName(name);
    return { Bucket: this.bucket, Key: `${this.#prefix}${name}`, name };
  }

  keyPrefix(prefix: string): string {
    checkBlobPrefix(prefix);
    return `${this.#prefix}${prefix}`;
  }

  /** Undefined for what is not ours: somebody else's objects in the same bucket, or a console's folder marks. */
  nameOf(key: string): string | undefined {
    const name = key.startsWith(this.#prefix) ? key.slice(this.#prefix.length) : "";
    return isBlobName(name) ? name : undefined;
  }
}

async function receive(
  requests: S3Requests,
  objects: S3Objects,
  path: string,
  label: string,
  sizeBytesMax: Bytes,
  limits: S3UploadLimits = S3_UPLOAD_LIMITS,
): Promise<IncomingBlob> {
  const staged = await StagedFile.create(path, label, sizeBytesMax);
  return {
    get sizeBytes() {
      return staged.sizeBytes;
    },
    append: (bytes) => staged.append(bytes),
    finish: () => staged.finish(),
    keep: (name, signal) => upload(requests, objects.of(name), staged, limits, signal),
    async [Symbol.asyncDispose]() {
      await staged[Symbol.asyncDispose]();
      await rm(path, { force: true });
    },
  };
}

async function* read(
  requests: S3Requests,
  object: S3Object,
  expected: ExpectedBlob | undefined,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  // What the store took in by our own upload says its hash; anybody else's objects say only their size.
  const told: ToldBlob[] = [];
  const pieces = download(requests, object, 0, signal, (whole) => told.push(whole));
  const first = await pieces.next();
  const known = expected ?? expectationOf(told[0]);
  const all = async function* () {
    if (first.done) return;
    yield first.value;
    yield* pieces;
  };
  try {
    for await (const piece of verifiedPieces(object.name, known, all())) {
      yield piece;
      signal.throwIfAborted(); // What came already would come to its end all the same.
    }
  } finally {
    await pieces.return(undefined); // Lets go of the connection also when the reader left.
  }
}

function expectationOf(told: ToldBlob | undefined): ExpectedBlob | undefined {
  return told?.sha256 === undefined ? undefined : { sha256: told.sha256, sizeBytes: told.sizeBytes };
}

async function* list(requests: S3Requests, objects: S3Objects, prefix: string, signal?: AbortSignal): AsyncGenerator<StoredBlob> {
  const wish = { Bucket: objects.bucket, Prefix: objects.keyPrefix(prefix) };
  let token: string | undefined;
  do {
    const from = token === undefined ? {} : { ContinuationToken: token };
    const page = await requests.demand("list", signal, (abortSignal) =>
      requests.client.send(new ListObjectsV2Command({ ...wish, ...from }), withSignal(abortSignal)),
    );
    for (const { Key = "", Size = 0, LastModified } of page.Contents ?? []) {
      const name = objects.nameOf(Key);
      if (name !== undefined) yield { name, sizeBytes: Size, writtenAt: LastModified?.getTime() ?? 0 };
    }
    token = page.IsTruncated ? page.NextContinuationToken : undefined;
  } while (token !== undefined);
}

async function abortUploads(requests: S3Requests, objects: S3Objects, before: Millis, signal?: AbortSignal): Promise<void> {
  const wish = { Bucket: objects.bucket, Prefix: objects.keyPrefix("") };
  let marks: { KeyMarker?: string; UploadIdMarker?: string } | undefined = {};
  while (marks) {
    const from: { KeyMarker?: string; UploadIdMarker?: string } = marks;
    const page = await requests.demand("list_uploads", signal, (abortSignal) =>
      requests.client.send(new ListMultipartUploadsCommand({ ...wish, ...from }), withSignal(abortSignal)),
    );
    for (const { Key, UploadId, Initiated } of page.Uploads ?? []) {
      if (Key === undefined || UploadId === undefined || !Initiated || Initiated.getTime() >= before) continue;
      const id = { Bucket: objects.bucket, Key, UploadId };
      await requests.ask("abort_upload", signal, (abortSignal) =>
        requests.client.send(new AbortMultipartUploadCommand(id), withSignal(abortSignal)),
      );
    }
    const { IsTruncated, NextKeyMarker, NextUploadIdMarker } = page;
    marks =
      IsTruncated && NextKeyMarker !== undefined
        ? { KeyMarker: NextKeyMarker, ...(NextUploadIdMarker !== undefined && { UploadIdMarker: NextUploadIdMarker }) }
        : undefined;
  }
}

async function removeSpooled(directory: string, before: Millis): Promise<void> {
  for (const name of await readdir(directory)) {
    const path = join(directory, name);
    const written = await stat(path).catch(() => undefined); // Gone meanwhile: its upload has ended.
    if (written && written.mtimeMs < before) await rm(path, { force: true });
  }
}
