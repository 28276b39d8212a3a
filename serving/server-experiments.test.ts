import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { beforeAll, expect, test } from "vitest";
import { readManifest } from "../datasets/dataset.ts";
import type { RankResponse } from "./http/schemas.ts";
import { finallyDo, freshSpace, type TestServer, testServer } from "./space.fixture.ts";

const serving = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const DEMO = serving("./experiments/demo.yaml");

let server: TestServer;
let viewers: string[];
let candidates: string[];
beforeAll(async () => {
  server = await testServer({ settings: { experimentsFile: DEMO } });
  const { graph, posts } = server.parts;
  viewers = [...graph.users()].filter((user) => graph.following(user).size >= 10);
  candidates = [...posts.values()]
    .filter((post) => post.kind === "original")
    .map(({ postId }) => postId)
    .slice(-60);
});

const arm = (page: RankResponse): number | undefined => page.experiments[0]?.variation;
const ids = (page: RankResponse): string[] => page.items.map(({ post_id }) => post_id);
const ranked = (user_id: string, forced?: string): Promise<RankResponse> =>
  server.rank({
    user_id,
    limit: 60,
    candidate_post_ids: candidates,
    explain: true,
    ...(forced && { context: { forced_variations: { "reply-weight": forced } } }),
  });
const shareOfReply = (page: RankResponse): number[] =>
  page.items.map(
    ({ explain }) => explain?.heads.find(({ head }) => head === "reply")?.weight as number,
  );

test("the answer names the experiment and the arm, and the arm's weights are the ones that scored", async () => {
  const seen = new Set<number | undefined>();
  for (const user_id of viewers.slice(0, 12)) {
    const page = await ranked(user_id);
    expect(page.experiments).toEqual([{ key: "reply-weight", variation: expect.any(Number) }]);
    for (const weight of shareOfReply(page)) expect(weight).toBeCloseTo(arm(page) === 0 ? 5 : 1, 9);
    seen.add(arm(page));
  }
  expect(seen).toEqual(new Set([0, 1]));
});

test("two arms order the same candidates of the same viewer differently, and their weights resolve by checksum", async () => {
  const user_id = viewers[20] as string;
  const control = await ranked(user_id, "control");
  server.advance(3_600_000);
  const treated = await ranked(user_id, "favorites");
  expect([arm(control), arm(treated)]).toEqual([0, 1]);
  expect(ids(control).toSorted()).toEqual(ids(treated).toSorted());
  expect(ids(control)).not.toEqual(ids(treated));

  expect(control.weights_checksum).not.toBe(treated.weights_checksum);
  for (const [page, reply, favorite] of [
    [control, 5, 0.5],
    [treated, 1, 2],
  ] as const) {
    const { statusCode, body } = await server.app.server.inject(
      `/v1/versions/${page.weights_checksum}`,
    );
    expect(statusCode).toBe(200);
    const { kind, text } = JSON.parse(body) as { kind: string; text: string };
    expect(kind).toBe("weights");
    expect(text).toMatch(new RegExp(`reply"?: ${reply}\\b`));
    expect(text).toMatch(new RegExp(`favorite"?: ${favorite}\\b`));
  }
});

test("the log holds one exposure per unit and arm, a second request adds none, and forced arms are never logged", async () => {
  const [first, second, forced] = viewers.slice(30, 33) as [string, string, string];
  const pages = [await server.rank({ user_id: first }), await server.rank({ user_id: second })];
  await server.settled();
  await server.rank({ user_id: first });
  await server.rank({ user_id: first, product: "following" });
  await server.rank({ user_id: first, cursor: pages[0]?.cursor as string });
  await server.rank({
    user_id: forced,
    context: { forced_variations: { "reply-weight": "favorites" } },
  });
  const all = await server.recordsOf("exposure");
  const exposures = all.filter(({ user_id }) => [first, second, forced].includes(user_id));
  expect(exposures).toHaveLength(2);
  for (const [i, exposure] of exposures.entries()) {
    expect(exposure).toMatchObject({
      user_id: [first, second][i],
      request_id: pages[i]?.request_id,
      experiment: "reply-weight",
      variation: arm(pages[i] as RankResponse),
      variation_key: arm(pages[i] as RankResponse) === 0 ? "control" : "favorites",
      layer: "ranking-weights",
      hash_attribute: "user_id",
      hash_value: [first, second][i],
      propensity: 0.5,
    });
    expect(exposure.bucket < 0.5).toBe(exposure.variation === 0);
    const version = await server.app.server.inject(`/v1/versions/${exposure.config_version}`);
    expect(version.statusCode).toBe(200);
  }
  // What was served says so too, the forced one included.
  const served = await server.recordsOf("served");
  expect(served.findLast(({ user_id }) => user_id === forced)?.experiments).toEqual([
    { key: "reply-weight", variation: 1 },
  ]);
});

test("an unknown forced arm is a 400", async () => {
  const answer = await server.post("/v1/rank", {
    user_id: "1",
    product: "for_you",
    limit: 1,
    context: { forced_variations: { "reply-weight": "nonsense" } },
  });
  expect(answer.status).toBe(400);
});

async function eventually(check: () => Promise<boolean> | boolean): Promise<void> {
  for (let i = 0; i < 400; i++) {
    if (await check()) return;
    await delay(25);
  }
  throw new Error("did not happen");
}

test("an edit of the experiments file takes effect under traffic without a lost request; an invalid one is refused with every problem named", async () => {
  const dir = await freshSpace();
  const file = join(dir, "experiments.yaml");
  const text = await readFile(DEMO, "utf8");
  await writeFile(file, text);
  const live = await testServer({ dir, settings: { experimentsFile: file } });
  let stop = false;
  finallyDo(async () => {
    stop = true;
    await traffic;
  });
  const statuses: number[] = [];
  const versions = new Set<string>();
  const traffic = (async () => {
    for (let i = 0; !stop && i < 2000; i++) {
      const user_id = viewers[i % viewers.length] as string;
      const answer = await live.post("/v1/rank", { user_id, product: "for_you", limit: 5 });
      statuses.push(answer.status);
      versions.add(JSON.stringify((answer.body as RankResponse).experiments));
    }
  })();
  await eventually(() => statuses.length > 5);
  await writeFile(file, text.replace("key: reply-weight", "key: renamed"));
  await eventually(() => [...versions].some((version) => version.includes("renamed")));

  await writeFile(
    file,
    text
      .replace("reply: 1,", "replies: 1,")
      .replace("id: ranking-weights, ranges", "id: no-such-layer, ranges"),
  );
  const refusal = () => live.lines.find(({ msg }) => msg === "an edit was refused");
  await eventually(() => refusal() !== undefined);
  for (const problem of ["replies", "no-such-layer"]) expect(refusal()?.problem).toContain(problem);
  const requests = statuses.length;
  await eventually(() => statuses.length > requests + 3);
  const after = await live.rank({ user_id: viewers[0] as string });
  expect(after.experiments[0]?.key).toBe("renamed");
  stop = true;
  await traffic;
  expect(new Set(statuses)).toEqual(new Set([200]));
});

test("an edit of the weights file changes later rankings; an invalid one changes none", async () => {
  const dir = await freshSpace();
  const file = join(dir, "weights.yaml");
  const text = await readFile(serving("./weights/presets/world.yaml"), "utf8");
  await writeFile(file, text);
  const live = await testServer({ dir, settings: { weights: file } });
  const checksum = async (): Promise<string> =>
    ((await live.app.server.inject("/v1/weights")).json() as { checksum: string }).checksum;
  const before = await checksum();
  await writeFile(file, text.replace("favorite: 0.5", "favorite: 7"));
  await eventually(async () => (await checksum()) !== before);
  const edited = await checksum();
  const favoriteOf = async (page: RankResponse): Promise<string | undefined> => {
    const version = await live.app.server.inject(`/v1/versions/${page.weights_checksum}`);
    const { text } = version.json() as { text: string };
    return /favorite"?: ([\d.]+)/.exec(text)?.[1];
  };
  expect(await favoriteOf(await live.rank({ user_id: viewers[0] as string }))).toBe("7");

  await writeFile(file, text.replace("favorite: 0.5", "favorite: -7").replace("reply:", "rply:"));
  const refusal = () => live.lines.find(({ msg }) => msg === "an edit was refused");
  await eventually(() => refusal() !== undefined);
  expect(refusal()?.problem).toMatch(/favorite/);
  expect(refusal()?.problem).toMatch(/rply/);
  expect(await checksum()).toBe(edited);
  expect(await favoriteOf(await live.rank({ user_id: viewers[1] as string }))).toBe("7");
});

test("a start without an experiments file runs none, and the next start with the unchanged file runs it again", async () => {
  const dir = await freshSpace();
  const experimentsAt = async (settings: object): Promise<RankResponse["experiments"]> => {
    const started = await testServer({ dir, settings });
    const page = await started.rank({ user_id: viewers[0] as string });
    await started.close();
    return page.experiments;
  };
  expect(await experimentsAt({ experimentsFile: DEMO })).toHaveLength(1);
  expect(await experimentsAt({})).toEqual([]);
  expect(await experimentsAt({ experimentsFile: DEMO })).toHaveLength(1);
});

test("a version that the API put in force outlives a restart with the unchanged file", async () => {
  const first = await testServer({ settings: { experimentsFile: DEMO } });
  const { graph } = first.parts;
  const user_id = [...graph.users()][0] as string;
  const url = "/v1/versions/experiments/current";
  const { current } = (await first.app.server.inject(url)).json() as {
    current: { checksum: string };
  };
  const move = { from: current.checksum, text: "{}", by: "a test" };
  const moved = await first.app.server.inject({ method: "PUT", url, payload: move });
  expect(moved.statusCode, moved.body).toBe(200);
  await first.settled();
  expect((await first.rank({ user_id })).experiments).toEqual([]);
  await first.close();
  const second = await testServer({ dir: first.dir, settings: { experimentsFile: DEMO } });
  expect((await second.rank({ user_id })).experiments).toEqual([]);
});

test("a sticky arm outlives a restart and a change of the split; a deleted user is drawn anew", async () => {
  const dir = await freshSpace();
  const file = join(dir, "experiments.yaml");
  const text = (await readFile(DEMO, "utf8")).replace(
    "hashAttribute: user_id",
    "hashAttribute: user_id\n    sticky: true",
  );
  const split = (control: string, favorites: string): string =>
    text
      .replace("weight: 0.5", `weight: ${control}`)
      .replace(
        "- key: favorites\n        weight: 0.5",
        `- key: favorites\n        weight: ${favorites}`,
      );
  const settings = { experimentsFile: file };
  await writeFile(file, split("1", "0"));
  const first = await testServer({ dir, settings });
  const [kept, deleted, fresh] = viewers.slice(0, 3) as [string, string, string];
  expect(arm(await first.rank({ user_id: kept }))).toBe(0);
  expect(arm(await first.rank({ user_id: deleted }))).toBe(0);
  await first.close();

  await writeFile(file, split("0", "1"));
  const second = await testServer({ dir, settings });
  expect(arm(await second.rank({ user_id: kept }))).toBe(0);
  expect(arm(await second.rank({ user_id: deleted }))).toBe(0);
  expect(arm(await second.rank({ user_id: fresh }))).toBe(1);
  await second.send([{ type: "user_deleted", user_id: deleted }]);
  expect(arm(await second.rank({ user_id: deleted }))).toBe(1);
  expect(arm(await second.rank({ user_id: kept }))).toBe(0);
});

test("a broken experiments file at the first start is refused with its problems; nothing stays open", async () => {
  const dir = await freshSpace();
  const file = join(dir, "experiments.yaml");
  await writeFile(file, "experiments:\n  - key: [");
  await expect(testServer({ dir, settings: { experimentsFile: file } })).rejects.toMatchObject({
    code: "BAD_CONFIG",
    message: expect.stringContaining("experiments.yaml"),
  });
  await rm(file);
  await expect(testServer({ dir, settings: { experimentsFile: file } })).rejects.toThrow(/ENOENT/);
  const works = await testServer({ dir });
  expect(works.startMs).toBe(readManifest(dir).held_out_from_ms);
});
