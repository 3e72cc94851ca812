import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import type { BlobStore } from "#blobs";
import { deltaSources } from "./delta-sources.ts";

const folder = mkdtempSync(join(tmpdir(), "delta-sources-"));
const deltas = join(folder, "deltas");
mkdirSync(join(deltas, "acme/support"), { recursive: true });
writeFileSync(join(deltas, "acme/support/adapter_config.json"), "{}");
writeFileSync(join(deltas, "acme/support/adapter_model.safetensors"), "weights");
mkdirSync(join(folder, "secret"));
writeFileSync(join(folder, "secret/adapter_config.json"), "a secret");
symlinkSync(join(folder, "secret"), join(deltas, "acme/link"));
afterAll(() => rmSync(folder, { recursive: true }));

const noBucket = () => Promise.reject(new Error("no bucket here"));
const { signal } = new AbortController();

async function text(pieces: AsyncIterable<Uint8Array>): Promise<string> {
  return Buffer.concat(await Array.fromAsync(pieces)).toString();
}

describe("a delta's source", () => {
  it("is two files below the operator's folder", async () => {
    const source = deltaSources(deltas, noBucket)({ path: "acme/support" });
    expect([await text(source.config(signal)), await text(source.weights(signal))]).toEqual(["{}", "weights"]);
  });

  it.each(["../secret", "acme/../../secret", "acme/link"])("is not %s, which leads out of it", async (path) => {
    const source = deltaSources(deltas, noBucket)({ path });
    await expect(text(source.config(signal))).rejects.toMatchObject({ reason: "parameter_invalid" });
  });

  it("is missed with its name, and not offered without a folder", async () => {
    const source = deltaSources(deltas, noBucket)({ path: "acme/nothing" });
    await expect(text(source.config(signal))).rejects.toMatchObject({
      reason: "file_missing",
      message: expect.stringContaining("acme/nothing"),
    });
    expect(() => deltaSources(undefined, noBucket)({ path: "acme/support" })).toThrow("--delta-directory");
  });

  it("is two objects of a bucket, which is closed again", async () => {
    const asked: string[] = [];
    const bucket = {
      async *read(name: string) {
        yield Buffer.from(`content of ${name}`);
      },
      [Symbol.asyncDispose]: async () => void asked.push("closed"),
    } as unknown as BlobStore;
    const source = deltaSources(undefined, async (url) => {
      asked.push(url);
      return bucket;
    })({ url: "s3://models/support" });
    expect(await text(source.config(signal))).toBe("content of adapter_config.json");
    expect(await text(source.weights(signal))).toBe("content of adapter_model.safetensors");
    expect(asked).toEqual(["s3://models/support", "closed", "s3://models/support", "closed"]);
  });
});
