import { expect, test } from "vitest";
import { chooseCompute, DEFAULT_COMPUTE, PROVIDERS, WEIGHT_FORMATS } from "./compute.ts";

test("what is not said is float32 on the processor", () => {
  expect(chooseCompute()).toEqual(DEFAULT_COMPUTE);
  expect(chooseCompute("webgpu")).toEqual({ provider: "webgpu", weights: "float32" });
});

test("of all combinations some are offered; every other is refused by the option that is wrong, with what to say instead", () => {
  const offered: string[] = [];
  const refused: string[] = [];
  for (const provider of PROVIDERS) {
    for (const weights of WEIGHT_FORMATS) {
      try {
        chooseCompute(provider, weights);
        offered.push(`${provider} ${weights}`);
      } catch (error) {
        expect(error).toMatchObject({ reason: "parameter_unsupported", message: expect.stringMatching(/^--(ep|weights) /) });
        refused.push((error as Error).message);
      }
    }
  }
  const onDevices = WEIGHT_FORMATS.map((weights) => `webgpu ${weights}`);
  expect(offered).toEqual(["cpu float32", "cpu int8", "cpu int4", ...onDevices]);
  expect(refused).toContain("--weights float16 is not offered with --ep cpu: float32, int8, int4 are");
  expect(refused.filter((message) => message.startsWith("--ep cuda is not offered")).length).toBe(WEIGHT_FORMATS.length);
});
