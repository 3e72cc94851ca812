import { expect, test } from "vitest";
import { GOLDEN_BASE, goldenInfo } from "../../node-agent/testing/golden-base.ts";
import { BaseShelf } from "../../trainer/jobs/base-shelf.ts";

test("a trainer follows the URL that the nodes name for a base, and checks that it is that base", async () => {
  const { digest } = await goldenInfo();
  const opened: string[] = [];
  const openFolder = async (location: string) => {
    opened.push(location);
    return GOLDEN_BASE;
  };
  const shelf = new BaseShelf([], openFolder);
  const base = await shelf.open("golden", digest, "s3://bucket/bases/golden");
  expect(base).toMatchObject({ directory: GOLDEN_BASE, info: { digest } });
  await shelf.open("golden", digest, "s3://bucket/bases/golden");
  expect(opened).toEqual(["s3://bucket/bases/golden"]);
  await expect(shelf.open("golden", "0".repeat(64), "s3://bucket/bases/golden")).rejects.toMatchObject({ reason: "delta_base_mismatch" });
});
