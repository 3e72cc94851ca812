import { createHash, randomBytes } from "node:crypto";
import { readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { join } from "node:path";
import { toFile } from "openai";
import { afterEach, describe, expect, test } from "vitest";
import { VirtualClock } from "#kernel";
import type { FileLimits } from "../files/index.ts";
import type { Script } from "./testing/scripted-core.ts";
import { openScriptedDoor, type ScriptedDoor } from "./testing/scripted-door.ts";

const SILENT: Script = { generate: () => (async function* () {})() };
const SMALL: FileLimits = { fileBytesMax: 1000, tenantBytesMax: 2500, tenantFilesMax: 5, tenantUploadsMax: 2 };

let door: ScriptedDoor;
afterEach(async () => {
  await door?.[Symbol.asyncDispose]();
});

const upload = async (content: string | Uint8Array, name = "train.jsonl", key = "good", more: object = {}) =>
  door.client(key).files.create({ file: await toFile(Buffer.from(content), name), purpose: "fine-tune", ...more });
const onDisk = () =>
  readdirSync(door.filesDirectory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => entry.name);
/** A form as raw parts, for what the official client would not send. */
const postForm = (parts: readonly string[]) =>
  fetch(`${door.url}/v1/files`, {
    method: "POST",
    headers: { authorization: "Bearer good", "content-type": "multipart/form-data; boundary=x" },
    body: `${parts.map((part) => `--x\r\ncontent-disposition: form-data; ${part}\r\n`).join("")}--x--\r\n`,
  });
const FILE_PART = 'name="file"; filename="a.jsonl"\r\n\r\n{}';
const PURPOSE_PART = 'name="purpose"\r\n\r\nfine-tune';

describe("the official client", () => {
  test("uploads a file, finds it, reads it back byte by byte, and deletes it", async () => {
    door = await openScriptedDoor(SILENT);
    const content = randomBytes(3_000_000);
    const file = await upload(content, "Übung ../../etc.jsonl");
    expect(file).toMatchObject({ object: "file", bytes: 3_000_000, filename: "etc.jsonl", purpose: "fine-tune", status: "processed" });
    expect(file.id).toMatch(/^file-[0-9a-f]{24}$/);
    expect(Math.abs(file.created_at - Date.now() / 1000)).toBeLessThan(60);
    const { openai } = door;
    expect(await openai.files.retrieve(file.id)).toEqual(file);
    expect(await openai.files.waitForProcessing(file.id)).toEqual(file);
    const answer = await openai.files.content(file.id);
    expect(answer.headers.get("content-length")).toBe("3000000");
    const digest = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
    expect(digest(new Uint8Array(await answer.arrayBuffer()))).toBe(digest(content));
    expect(await openai.files.delete(file.id)).toEqual({ id: file.id, object: "file", deleted: true });
    await expect(openai.files.retrieve(file.id)).rejects.toMatchObject({ status: 404 });
    expect(onDisk()).toEqual([]);
  });

  test("lists them, the latest first, page by page, and by purpose", async () => {
    const clock = new VirtualClock();
    door = await openScriptedDoor(SILENT, { clock });
    const ids: string[] = [];
    for (let index = 0; index < 5; index++) {
      ids.push((await upload(`${index}`, `${index}.jsonl`, "good", { purpose: index === 2 ? "evals" : "fine-tune" })).id);
      await clock.advance(1_000);
    }
    const listed = async (query: object) => {
      const found = [];
      for await (const file of door.openai.files.list(query)) found.push(file.id);
      return found;
    };
    expect(await listed({})).toEqual(ids.toReversed());
    expect(await listed({ limit: 2, order: "asc" })).toEqual(ids);
    expect(await listed({ limit: 2, purpose: "fine-tune" })).toEqual([4, 3, 1, 0].map((index) => ids[index]));
    const page = await door.openai.files.list({ limit: 2, after: ids[3]! });
    expect([page.data.map(({ id }) => id), page.has_more]).toEqual([[ids[2], ids[1]], true]);
    for (const [query, param] of [
      [{ limit: 0 }, "limit"],
      [{ limit: 10_001 }, "limit"],
      [{ order: "up" }, "order"],
      [{ after: "file-x" }, "after"],
    ] as const)
      await expect(door.openai.files.list(query as object)).rejects.toMatchObject({ status: 400, param });
  });

  test("finds nothing of another tenant: it is as if it did not exist", async () => {
    door = await openScriptedDoor(SILENT);
    const { id } = await upload("mine");
    const rival = door.client("rival");
    const seen = async (of: string) => {
      const faults = await Promise.all(
        [rival.files.retrieve(of), rival.files.delete(of), rival.files.content(of)].map((asking) =>
          Promise.resolve(asking).catch((error: unknown) => error),
        ),
      );
      return faults.map((fault) => String(fault).replaceAll(of, "<id>"));
    };
    expect(await seen(id)).toEqual(await seen(`file-${"0".repeat(24)}`));
    expect((await rival.files.list()).data).toEqual([]);
    expect((await door.openai.files.list()).data).toHaveLength(1);
  });

  test("sees a file no more once it has expired, and a while later its bytes are gone", async () => {
    const clock = new VirtualClock();
    door = await openScriptedDoor(SILENT, { clock });
    const file = await upload("short-lived", "a.jsonl", "good", { expires_after: { anchor: "created_at", seconds: 3600 } });
    expect(file.expires_at).toBe(file.created_at + 3600);
    await clock.advance(3_599_000);
    expect((await door.openai.files.retrieve(file.id)).id).toBe(file.id);
    await clock.advance(1_000);
    await expect(door.openai.files.retrieve(file.id)).rejects.toMatchObject({ status: 404 });
    expect((await door.openai.files.list()).data).toEqual([]);
    await clock.advance(60_000);
    await expect.poll(onDisk).toEqual([]);
  });

  test("is told when stored bytes are not what was stored: the answer breaks off", async () => {
    door = await openScriptedDoor(SILENT);
    const { id } = await upload(randomBytes(1_000_000));
    const path = join(door.filesDirectory, "files", "acme", id);
    const bytes = readFileSync(path);
    bytes[500_000]! ^= 1;
    writeFileSync(path, bytes);
    await expect(door.openai.files.content(id).then((answer) => answer.arrayBuffer())).rejects.toThrow();
    writeFileSync(path, "short");
    await expect(door.openai.files.content(id)).rejects.toMatchObject({ status: 500, code: "checksum_mismatch" });
  });

  test("may not go beyond what a tenant may keep", async () => {
    door = await openScriptedDoor(SILENT, { limits: SMALL });
    await expect(upload("x".repeat(1001))).rejects.toMatchObject({ status: 413, param: "file" });
    await upload("x".repeat(1000));
    await upload("x".repeat(1000));
    await expect(upload("x".repeat(501))).rejects.toMatchObject({ status: 429 });
    await upload("x".repeat(500), "b.jsonl", "rival");
    for (let index = 0; index < 3; index++) await upload("y");
    await expect(upload("y")).rejects.toMatchObject({ status: 429, message: expect.stringContaining("5 files") });
    expect(onDisk()).toHaveLength(6);
  });
});

describe("a form is refused, and leaves nothing,", () => {
  const cases: readonly [string, readonly string[], string][] = [
    ["without a file", [PURPOSE_PART], "file"],
    ["without a purpose", [FILE_PART], "purpose"],
    ["with a purpose of its own", [FILE_PART, 'name="purpose"\r\n\r\nfun'], "purpose"],
    ["with the results of ours", [FILE_PART, 'name="purpose"\r\n\r\nfine-tune-results'], "purpose"],
    ["with an empty file", ['name="file"; filename="a"\r\n\r\n', PURPOSE_PART], "file"],
    ["with a file of another name", ['name="data"; filename="a"\r\n\r\n{}', PURPOSE_PART], "data"],
    ["with a file that expires too soon", [FILE_PART, PURPOSE_PART, 'name="expires_after[seconds]"\r\n\r\n60'], "expires_after[seconds]"],
    [
      "with an expiry from something else",
      [FILE_PART, PURPOSE_PART, 'name="expires_after[anchor]"\r\n\r\nlast_active_at'],
      "expires_after[anchor]",
    ],
    ["with a field of 2 kB", [FILE_PART, PURPOSE_PART, `name="note"\r\n\r\n${"x".repeat(2_000)}`], "note"],
    ["with a name of 300 characters", [`name="file"; filename="${"x".repeat(300)}"\r\n\r\n{}`, PURPOSE_PART], "file"],
  ];
  test.each(cases)("%s", async (_, parts, param) => {
    door = await openScriptedDoor(SILENT);
    const answer = await postForm(parts);
    expect([answer.status, await answer.json()]).toMatchObject([400, { error: { param } }]);
    expect(onDisk()).toEqual([]);
  });

  test.each([
    ["with two files", [FILE_PART, FILE_PART, PURPOSE_PART]],
    ["with twenty fields", [FILE_PART, ...Array.from({ length: 20 }, (_, index) => `name="f${index}"\r\n\r\nx`)]],
    ["with a field called __proto__", [FILE_PART, 'name="__proto__"\r\n\r\nx', PURPOSE_PART]],
  ])("%s", async (_, parts) => {
    door = await openScriptedDoor(SILENT);
    const answer = await postForm(parts);
    expect([400, 413]).toContain(answer.status);
    expect(await answer.json()).toMatchObject({ error: { message: expect.any(String) } });
    expect(onDisk()).toEqual([]);
  });
});

test("an upload that is cut leaves nothing, and frees its place", async () => {
  door = await openScriptedDoor(SILENT, { limits: { ...SMALL, fileBytesMax: 10_000_000, tenantBytesMax: 10_000_000 } });
  for (let cut = 0; cut < 3; cut++) {
    const sending = httpRequest(`${door.url}/v1/files`, {
      method: "POST",
      headers: { authorization: "Bearer good", "content-type": "multipart/form-data; boundary=x", "content-length": 9_000_000 },
    });
    sending.on("error", () => undefined); // It is we who cut it.
    sending.write(`--x\r\ncontent-disposition: form-data; ${FILE_PART}${"x".repeat(1_000_000)}`);
    await expect.poll(onDisk).toHaveLength(1);
    sending.destroy();
    await expect.poll(onDisk).toEqual([]);
  }
  expect((await upload("{}")).bytes).toBe(2);
});

test("a form that does not end is not kept", async () => {
  door = await openScriptedDoor(SILENT);
  const answer = await fetch(`${door.url}/v1/files`, {
    method: "POST",
    headers: { authorization: "Bearer good", "content-type": "multipart/form-data; boundary=x" },
    body: `--x\r\ncontent-disposition: form-data; ${PURPOSE_PART}\r\n--x\r\ncontent-disposition: form-data; ${FILE_PART}`,
  });
  expect(answer.status).toBe(400);
  expect(onDisk()).toEqual([]);
});

test("a reader who leaves in the middle is not read for any longer", async () => {
  door = await openScriptedDoor(SILENT);
  const { id } = await upload(randomBytes(20_000_000));
  const leave = new AbortController();
  const headers = { authorization: "Bearer good" };
  const answer = await fetch(`${door.url}/v1/files/${id}/content`, { headers, signal: leave.signal });
  await answer.body!.getReader().read();
  leave.abort();
  const open = () => readdirSync("/proc/self/fd").filter((fd) => linkOf(fd)?.endsWith(id)).length;
  await expect.poll(open).toBe(0);
});

/** What a descriptor of this process is open on; undefined when it has been closed meanwhile. */
function linkOf(fd: string): string | undefined {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return undefined;
  }
}
