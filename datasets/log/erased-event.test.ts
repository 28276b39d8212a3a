import fc from "fast-check";
import { expect, test } from "vitest";
import { anyEvent } from "../events.arbitrary.ts";
import { type Event, EventSchema } from "../events.ts";
import { ERASED_AUTHOR, withoutUsers } from "./erased-event.ts";

const USER = "77";
const USERS = new Set([USER]);
const event = (fields: object): Event => EventSchema.parse({ time_ms: 5, ...fields });

test("what a user did, what was done to the account and their posts leave a tombstone of the same time", () => {
  const own = [
    { type: "user_created", user_id: USER },
    { type: "follow", user_id: USER, target_id: "1" },
    { type: "block", user_id: "1", target_id: USER },
    { type: "post_created", post_id: "9", author_id: USER, text: "hello" },
    { type: "post_deleted", post_id: "9", author_id: USER },
    { type: "impression", user_id: USER, post_id: "3", request_id: "r", position: 0 },
    { type: "user_deleted", user_id: USER },
  ];
  for (const fields of own)
    expect(withoutUsers(event(fields), USERS)).toEqual({
      event: { type: "erased", time_ms: 5 },
      removed: USER,
      redacted: [],
    });
});

test("records of others stay, without the user's id", () => {
  const seen = { type: "impression", user_id: "1", post_id: "9", request_id: "r", position: 0 };
  expect(withoutUsers(event({ ...seen, author_id: USER }), USERS)).toEqual({
    event: event(seen),
    removed: undefined,
    redacted: [USER],
  });
  const reply = { type: "post_created", post_id: "10", author_id: "1", in_reply_to_post_id: "9" };
  const { event: kept } = withoutUsers(event({ ...reply, in_reply_to_author_id: USER }), USERS);
  expect(kept).toEqual(event(reply));
});

test("a served page keeps its places: the author of the user's posts becomes nobody", () => {
  const item = (author_id: string) => ({
    post_id: "9",
    author_id,
    score: 1,
    source: "s",
    in_network: true,
  });
  const served = event({
    type: "served",
    request_id: "r",
    user_id: "1",
    product: "for_you",
    log_position: 0,
    experiments: [],
    weights_checksum: "w",
    model_versions: {},
    policy: "p",
    deterministic: true,
    items: [item("2"), item(USER), item("3")],
  });
  const { event: kept, removed, redacted } = withoutUsers(served, USERS);
  expect([removed, redacted]).toEqual([undefined, [USER]]);
  expect(kept).toEqual({ ...served, items: [item("2"), item(ERASED_AUTHOR), item("3")] });
});

test("of several users each record says with whom it went and whom it named", () => {
  const both = new Set(["1", USER]);
  const follow = event({ type: "follow", user_id: "2", target_id: USER });
  expect(withoutUsers(follow, both).removed).toBe(USER);
  const reply = { type: "post_created", post_id: "10", author_id: "2", in_reply_to_post_id: "9" };
  const named = { in_reply_to_author_id: USER, quote_of_post_id: "8", quote_of_author_id: "1" };
  const { event: kept, redacted } = withoutUsers(event({ ...reply, ...named }), both);
  expect(redacted).toEqual([USER, "1"]);
  expect(kept).toEqual(event({ ...reply, quote_of_post_id: "8" }));
});

test("of any event nothing with the user's id remains, what remains is valid, and other events are left as they are", () => {
  fc.assert(
    fc.property(anyEvent(), fc.constantFrom("user_id", "author_id", "target_id"), (drawn, name) => {
      const concerned = (name in drawn ? { ...drawn, [name]: USER } : drawn) as Event;
      const { event: kept, removed, redacted } = withoutUsers(concerned, USERS);
      expect(EventSchema.safeParse(kept).success).toBe(true);
      expect(kept.time_ms).toBe(concerned.time_ms);
      const ids = Object.entries(kept).filter(([key, value]) => /_id$/.test(key) && value === USER);
      expect(ids.filter(([key]) => !/post_id|event_id|request_id|conversation/.test(key))).toEqual(
        [],
      );
      const isChanged = removed !== undefined || redacted.length > 0;
      if (!isChanged) expect(kept).toBe(concerned);
      if (name in drawn) expect(isChanged).toBe(true);
    }),
  );
});
