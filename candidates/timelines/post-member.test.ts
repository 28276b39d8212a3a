import fc from "fast-check";
import { expect, test } from "vitest";
import { compareIds } from "../../datasets/ids.ts";
import { memberPost, postMember } from "./post-member.ts";

const id = fc
  .oneof(
    fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    fc.constantFrom(0n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 63n, 2n ** 64n - 1n),
  )
  .map(String);

test("an id comes back from its member, which has 11 characters", () => {
  fc.assert(
    fc.property(id, (postId) => {
      expect(postMember(postId)).toHaveLength(11);
      expect(memberPost(postMember(postId))).toBe(postId);
    }),
  );
});

test("members order against ids, byte by byte", () => {
  fc.assert(
    fc.property(id, id, (a, b) => {
      const order = Buffer.compare(Buffer.from(postMember(a)), Buffer.from(postMember(b)));
      expect(Math.sign(order) + 0).toBe(-Math.sign(compareIds(a, b)) + 0);
    }),
  );
});
