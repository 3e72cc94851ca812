import { expect, test } from "vitest";
import { Turnstile } from "./turnstile.ts";

test("so many are inside at once, in order of arrival, and who gives up waiting takes no place", async () => {
  const turnstile = new Turnstile(2);
  const order: string[] = [];
  const enter = async (name: string, signal?: AbortSignal) => {
    const place = await turnstile.enter(signal);
    order.push(name);
    return place;
  };
  const stop = new AbortController();
  const [a, b, c, d] = [enter("a"), enter("b"), enter("c", stop.signal), enter("d")];
  const first = await a;
  await b;
  expect(order).toEqual(["a", "b"]);
  stop.abort(new Error("enough"));
  await expect(c).rejects.toThrow("enough");
  first[Symbol.dispose]();
  first[Symbol.dispose](); // Only the first counts.
  await d;
  const late = enter("e");
  await Promise.resolve();
  expect(order).toEqual(["a", "b", "d"]);
  (await d)[Symbol.dispose]();
  await late;
  expect(order).toEqual(["a", "b", "d", "e"]);
});
