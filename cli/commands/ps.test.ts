import { expect, test } from "vitest";
import { GetClusterResponse } from "#proto";
import { HELD_COLUMNS, heldDeltas } from "./ps.ts";

test("each delta is shown with the engine of its own base on each node that has it", () => {
  const engine = (provider: string, weights: string, device: string) => ({ provider, weights, device });
  const delta = { digest: "d", baseDigest: "b2" };
  const held = heldDeltas(
    GetClusterResponse.fromPartial({
      nodes: [
        {
          view: {
            id: "one",
            bases: [
              { digest: "b1", engine: engine("cpu", "int8", "cpu") },
              { digest: "b2", engine: engine("webgpu", "float16", "NVIDIA H100") },
            ],
            deltas: [delta],
          },
        },
        { view: { id: "two", bases: [{ digest: "b2", engine: engine("cpu", "float32", "cpu") }], deltas: [delta] } },
        { view: { id: "starting", bases: [], deltas: [delta] } },
      ],
    }),
  );
  const shown = (title: string) => held.map((each) => HELD_COLUMNS.find((column) => column.title === title)!.value(each));
  expect(shown("node")).toEqual(["one", "two", "starting"]);
  expect(shown("engine")).toEqual(["webgpu float16, NVIDIA H100", "cpu float32", "-"]);
});
