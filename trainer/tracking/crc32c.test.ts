import { expect, test } from "vitest";
import { crc32c, maskedCrc32c } from "./crc32c.ts";

test("the vectors of RFC 3720, appendix B.4", () => {
  expect(crc32c(new Uint8Array(32)).toString(16)).toBe("8a9136aa");
  expect(crc32c(new Uint8Array(32).fill(0xff)).toString(16)).toBe("62a8ab43");
  expect(crc32c(Uint8Array.from({ length: 32 }, (_, index) => index)).toString(16)).toBe("46dd794e");
  expect(crc32c(Buffer.from("123456789")).toString(16)).toBe("e3069283");
  expect(crc32c(new Uint8Array())).toBe(0);
});

test("masked as TensorFlow masks: rotated right by 15, plus a constant", () => {
  expect(maskedCrc32c(Buffer.from("123456789"))).toBe(((0xe3069283 >>> 15) + (0xe3069283 & 0x7fff) * 2 ** 17 + 0xa282ead8) % 2 ** 32);
});
