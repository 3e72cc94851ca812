import { randomBytes } from "node:crypto";
import { ConflictError, NotFoundError, PermissionDeniedError, toFile } from "openai";
import { describe, expect, test } from "vitest";
import { type Door, MODELS } from "./door.ts";

/** `/v1/models` and `/v1/files` */
export function modelCases(door: () => Door): void {
  describe("models", () => {
    test("are the bases and one's own, with their parents", async () => {
      const { data } = await door().client("taxly").models.list();
      expect(data.map(({ id }) => id)).toEqual(expect.arrayContaining(["demo-base", MODELS.taxly]));
      expect(data.filter(({ id }) => /shopkit|lingua/.test(id))).toEqual([]);
      const full = data.find(({ id }) => id.startsWith("ft:"))!;
      expect(full).toMatchObject({ object: "model", parent: "demo-base", root: full.id });
      for (const id of [full.id, MODELS.taxly, "demo-base"]) expect((await door().client("taxly").models.retrieve(id)).id).toBe(id);
    });

    test("of others do not exist", async () => {
      for (const id of [MODELS.lingua, "ft:demo-base:lingua:translate:00000000", "nothing"])
        await expect(door().client("taxly").models.retrieve(id)).rejects.toThrow(NotFoundError);
    });

    test("are deleted by their owner: first the alias, then what it pointed at", async () => {
      const { cluster, newTenant } = door();
      const key = await newTenant("passing");
      cluster.cli("deltas", "push", "models/demo-deltas/tax", "--base", "demo-base", "--name", "bot", "--tenant", "passing");
      const openai = door().clientOf(key);
      const full = (await openai.models.list()).data.find(({ id }) => id.startsWith("ft:"))!.id;
      await expect(openai.models.delete(full)).rejects.toThrow(ConflictError);
      await expect(openai.models.delete("demo-base")).rejects.toThrow(PermissionDeniedError);
      await expect(door().client("taxly").models.delete("passing/bot")).rejects.toThrow(NotFoundError);
      expect(await openai.models.delete("passing/bot")).toEqual({ id: "passing/bot", object: "model", deleted: true });
      expect(await openai.models.delete(full)).toMatchObject({ deleted: true });
      await expect(openai.models.delete(full)).rejects.toThrow(NotFoundError);
      expect((await openai.models.list()).data.map(({ id }) => id)).toEqual(["demo-base"]);
    });
  });

  describe("files", () => {
    test("go up, are found, come down and go", async () => {
      const { files } = door().client("taxly");
      const content = randomBytes(1 << 20);
      const file = await files.create({ file: await toFile(content, "train.jsonl"), purpose: "fine-tune" });
      expect((await files.list()).data).toEqual([file]);
      expect(Buffer.from(await (await files.content(file.id)).arrayBuffer()).equals(content)).toBe(true);
      const rival = door().client("lingua");
      await expect(rival.files.retrieve(file.id)).rejects.toThrow(NotFoundError);
      await expect(rival.files.content(file.id)).rejects.toThrow(NotFoundError);
      expect(await files.delete(file.id)).toMatchObject({ deleted: true });
      expect((await files.list()).data).toEqual([]);
    });
  });
}
