import fc from "fast-check";
import { expect, test } from "vitest";
import { chooseHyperparameters } from "./hyperparameter-choice.ts";

const SMALL = 3_000_000;
const choose = (examples: number, wished = {}, parameterCount = SMALL) =>
  chooseHyperparameters({ targets: [], ...wished }, { examples, parameterCount, stopsEarly: false });

test("few examples are seen often, many once, in batches of 0.2 % of them", () => {
  expect([10, 33, 200, 10_000, 100_000].map((examples) => choose(examples).chosen.epochs)).toEqual([10, 3, 3, 2, 1]);
  expect([10, 200, 5_000, 10_000, 1_000_000].map((examples) => choose(examples).chosen.batchSize)).toEqual([1, 4, 10, 20, 256]);
  expect([200, 20_000, 100_000].map((examples) => choose(examples).chosen.rank)).toEqual([8, 16, 32]);
});

test("a job that looks for its own end has room for more epochs", () => {
  const most = (examples: number) => chooseHyperparameters({ targets: [] }, { examples, parameterCount: SMALL, stopsEarly: true });
  expect([200, 5_000, 100_000].map((examples) => most(examples).chosen.epochs)).toEqual([25, 5, 1]);
});

test("larger bases and ranks learn in smaller steps, larger batches in larger ones", () => {
  const rate = (wished: object, parameters = SMALL) => choose(200, wished, parameters).learningRate;
  expect(rate({ batchSize: 8 })).toBe(3e-3);
  expect(rate({ batchSize: 8 }, 8e9)).toBe(2e-4);
  expect(rate({ batchSize: 32 })).toBe(2 * rate({ batchSize: 8 }));
  expect(rate({ batchSize: 8, rank: 32 })).toBe(rate({ batchSize: 8 }) / 2);
  expect(rate({ batchSize: 8, learningRateMultiplier: 0.5 })).toBe(1.5e-3);
});

test("what is asked for is taken, and every choice says why", () => {
  const wished = { epochs: 7, batchSize: 3, rank: 4, alpha: 9, rankStabilised: true, promptLossWeight: 0.1, checkpointSteps: 11 };
  const { chosen, reasons, stepsTotal } = choose(100, wished);
  expect(chosen).toEqual({ ...wished, learningRateMultiplier: 1, targets: [] });
  expect(stepsTotal).toBe(7 * 34);
  expect(reasons["epochs"]).toBe("7: as asked for");
  expect(choose(100).reasons["batch_size"]).toBe("4: 0.2 % of 100 examples, at least 4 and at most 256");
});

test("whatever the file and the base, the choice can be trained", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 10_000_000 }), fc.integer({ min: 1_000, max: 1_000_000_000_000 }), (examples, parameterCount) => {
      const { chosen, learningRate, stepsTotal, reasons } = choose(examples, {}, parameterCount);
      expect(chosen.epochs).toBeGreaterThanOrEqual(1);
      expect(chosen.epochs).toBeLessThanOrEqual(25);
      expect(chosen.batchSize).toBeGreaterThanOrEqual(1);
      expect(chosen.checkpointSteps).toBeLessThanOrEqual(50);
      expect(learningRate).toBeGreaterThan(1e-6);
      expect(learningRate).toBeLessThan(0.1);
      expect(stepsTotal).toBe(chosen.epochs * Math.ceil(examples / chosen.batchSize));
      for (const name of Object.keys(chosen))
        if (name !== "targets") expect(reasons[name.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`)]).toBeTruthy();
    }),
  );
});
