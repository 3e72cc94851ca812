import { stripVTControlCharacters } from "node:util";
import fc from "fast-check";
import { expect, test } from "vitest";
import { lossCurve } from "./loss-curve.ts";

const plain = { columns: 40, rows: 10, color: false };
const falling = { name: "train_loss", points: Array.from({ length: 100 }, (_, step) => [step + 1, 4 * 0.96 ** step + 0.1] as const) };
const validation = {
  name: "valid_loss",
  points: [
    [25, 2],
    [50, 1.2],
    [75, 1],
    [100, 1.1],
  ] as const,
};

test("a falling loss with validations", () => {
  expect(lossCurve([falling, validation], plain)).toMatchInlineSnapshot(`
    [
      " 4.10 ┤⠱⡀                               ",
      "      │ ⠱⡀                              ",
      "      │  ⠘⢄                             ",
      "      │    ⠣⡀                           ",
      " 2.14 ┤     ⠈⠢⣀o                        ",
      "      │        ⠑⠢⣀     o                ",
      "      │           ⠉⠒⠤⢄⣀        o       o",
      "0.170 ┤                ⠉⠉⠒⠒⠒⠤⠤⠤⠤⣀⣀⣀⣀⣀⣀⣀⣀",
      "      └1─────────────────────────────100",
      "  ⠶ train_loss  o valid_loss",
    ]
  `);
});

test("a straight line goes from corner to corner", () => {
  const lines = lossCurve(
    [
      {
        name: "y",
        points: [
          [0, 0],
          [1, 1],
          [2, 2],
          [3, 3],
          [4, 4],
          [5, 5],
          [6, 6],
          [7, 7],
        ],
      },
    ],
    { columns: 11, rows: 4, color: false },
  );
  expect(lines).toMatchInlineSnapshot(`[]`);
});

test("colour is an option: the same picture without it", () => {
  const colored = lossCurve([falling, validation], { ...plain, color: true });
  expect(colored.join("")).toContain("\u001b[");
  expect(colored.map((line) => stripVTControlCharacters(line))).toEqual(lossCurve([falling, validation], plain));
});

test("nothing to draw, or no room, is no lines", () => {
  expect(lossCurve([], plain)).toEqual([]);
  expect(lossCurve([{ name: "train_loss", points: [[1, Number.NaN]] }], plain)).toEqual([]);
  expect(lossCurve([falling], { ...plain, columns: 12 })).toEqual([]);
  expect(lossCurve([falling], { ...plain, rows: 3 })).toEqual([]);
});

test("one point, and a loss that does not move, are drawn", () => {
  expect(lossCurve([{ name: "train_loss", points: [[1, 2]] }], plain).join("")).toMatch(/[⠁-⣿]/);
  expect(
    lossCurve(
      [
        {
          name: "train_loss",
          points: [
            [1, 2],
            [2, 2],
            [3, 2],
          ],
        },
      ],
      plain,
    ).join(""),
  ).toMatch(/[⠁-⣿]/);
});

test("any series fits the room it is given", () => {
  const points = fc.array(fc.tuple(fc.integer({ min: 1, max: 5000 }), fc.double()), { maxLength: 200 });
  fc.assert(
    fc.property(
      fc.array(points, { maxLength: 3 }),
      fc.integer({ min: 1, max: 120 }),
      fc.integer({ min: 1, max: 30 }),
      (all, columns, rows) => {
        const lines = lossCurve(
          all.map((some, index) => ({ name: `series ${index}`, points: some })),
          { columns, rows, color: false },
        );
        expect(lines.length).toBeLessThanOrEqual(rows);
        for (const line of lines) expect(line.length).toBeLessThanOrEqual(columns);
      },
    ),
    { numRuns: 300 },
  );
});
