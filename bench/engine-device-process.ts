import { benchEngineOnDevice } from "./engine-device.ts";
import { generatedBase } from "./generated-model.ts";
import { SHAPE_TINY } from "./generated-shapes.ts";

// The bench of a device in its smallest form, in a process that was started to see one: `CACHE` is its only argument.

const cacheDirectory = process.argv[2]!;
const report = await benchEngineOnDevice(
  { provider: "webgpu", weights: "float32" },
  { cacheDirectory, base: await generatedBase(cacheDirectory, SHAPE_TINY), quick: true },
  {
    cells: [0, 1].map((deltas) => ({ rows: 2, deltas })),
    tokens: { promptTokens: 4, newTokens: 12 },
    meter: { productRows: 32, copyValues: 2 ** 14, repeats: 6 },
  },
);
console.log(JSON.stringify(report));
