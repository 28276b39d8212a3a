import { beforeAll, expect, test } from "vitest";
import { RankResponseSchema } from "./http/schemas.ts";
import { DEFAULT_PARAMS } from "./params.ts";
import { type TestServer, testServer } from "./space.fixture.ts";

let server: TestServer;
/** Viewers who follow at least ten accounts, each used by one test: a served page changes the next one. */
let viewers: string[];
beforeAll(async () => {
  server = await testServer();
  const { graph } = server.parts;
  viewers = [...graph.users()].filter((user) => graph.following(user).size >= 10);
});
const nextViewer = (): string => viewers.shift() as string;

/** Recent posts that a viewer could be shown, newest first. */
function recentPosts(viewer: string): string[] {
  const { posts, history, graph } = server.parts;
  const seen = history.seen(viewer);
  const apart = [graph.blocked(viewer), graph.blockedBy(viewer), graph.muted(viewer)];
  return [...posts.values()]
    .filter((post) => !apart.some((authors) => authors.has(post.authorId)))
    .filter((post) => post.kind === "original" && post.authorId !== viewer)
    .filter((post) => post.safetyLabels.length === 0)
    .filter((post) => !seen.has(post.postId))
    .sort((a, b) => b.createdAtMs - a.createdAtMs)
    .map((post) => post.postId);
}

test("a page answers with the documented fields, ranked from 1, best first, without repeats", async () => {
  const page = await server.rank({ user_id: nextViewer(), limit: 30 });
  expect(RankResponseSchema.parse(page)).toEqual(page);
  expect(page.items.map(({ rank }) => rank)).toEqual(Array.from({ length: 30 }, (_, i) => i + 1));
  const scores = page.items.map(({ score }) => score);
  expect(scores).toEqual(scores.toSorted((a, b) => b - a));
  expect(new Set(page.items.map(({ post_id }) => post_id)).size).toBe(30);
  expect(new Set(page.items.map(({ source }) => source))).toEqual(
    new Set(["in_network", "popular"]),
  );
  expect(page.degraded).toEqual([]);
  expect(Object.keys(page.model_versions)).toEqual(["light", "heavy"]);
  expect(page.cursor).toEqual(expect.any(String));
});

test("explain: base × every multiplier is the score, and the contributions add up to base", async () => {
  let multiplied = 0;
  for (let i = 0; i < 5; i++) {
    const page = await server.rank({ user_id: nextViewer(), limit: 100, explain: true });
    for (const { score, explain } of page.items) {
      const { base, heads, multipliers } = explain as NonNullable<typeof explain>;
      const product = multipliers.reduce((product, { value }) => product * value, base);
      expect(Math.abs(product - score)).toBeLessThanOrEqual(1e-9 * Math.abs(score));
      // The preset of the world has no offset: base is the plain weighted sum.
      const sum = heads.reduce((sum, { contribution }) => sum + contribution, 0);
      expect(Math.abs(sum - base)).toBeLessThanOrEqual(1e-9 * Math.max(1e-3, Math.abs(base)));
      for (const { probability, weight, contribution } of heads)
        expect(contribution).toBeCloseTo((probability ?? 0) * weight, 12);
      if (multipliers.some(({ value }) => value < 1)) multiplied++;
    }
  }
  expect(multiplied).toBeGreaterThan(50);
});

test("explain accounts for every candidate that a source brought: on the page, or dropped by whom and why", async () => {
  const viewer = nextViewer();
  const page = await server.rank({ user_id: viewer, limit: 50, explain: true });
  const line = server.lines.findLast(({ msg }) => msg === "ranked") as {
    components: Record<string, [number, number, number]>;
  };
  const brought = ["in_network", "popular"].map((source) => line.components[source]?.[2] as number);
  expect(Math.min(...brought)).toBeGreaterThan(20);
  const dropped = page.dropped ?? [];
  expect(page.items.length + dropped.length).toBe((brought[0] as number) + (brought[1] as number));
  for (const { component, rule, source } of dropped) {
    expect(component).toMatch(/^[a-z_]+$/);
    expect(rule).toMatch(/\S/);
    expect(source).toMatch(/^(in_network|popular)$/);
  }
  const shown = new Set(page.items.map(({ post_id }) => post_id));
  for (const { post_id, component } of dropped)
    if (component !== "duplicate") expect(shown.has(post_id), component).toBe(false);
});

test("weights of a request change the order exactly as recomputed by hand from the explained probabilities", async () => {
  const viewer = nextViewer();
  const asked = { user_id: viewer, limit: 100, explain: true } as const;
  const candidate_post_ids = recentPosts(viewer).slice(0, 100);
  const zero = { not_interested: 0, mute_author: 0, block_author: 0, report: 0 };
  const weights = { ...zero, favorite: 30, reply: 0, click: 0, share: 0, follow_author: 0 };
  const before = await server.rank({ ...asked, candidate_post_ids });
  // Served posts are held back for a while: ask again when that is over.
  server.advance(11 * 60_000);
  const plain = await server.rank({ ...asked, candidate_post_ids, weights: zero });
  server.advance(11 * 60_000);
  const after = await server.rank({ ...asked, candidate_post_ids, weights });

  const { diversity_decay: decay, diversity_floor: floor } = DEFAULT_PARAMS;
  const bases = after.items.map((item) => {
    const { heads, multipliers } = item.explain as NonNullable<typeof item.explain>;
    const base = heads.reduce((sum, { head, probability, weight }) => {
      const given = (weights as Record<string, number>)[head] ?? weight;
      return sum + (probability ?? 0) * given;
    }, 0);
    const others = multipliers
      .filter(({ name }) => name !== "author_diversity")
      .reduce((product, { value }) => product * value, 1);
    return { post_id: item.post_id, author_id: item.author_id, base, others };
  });
  const count = new Map<string, number>();
  const byHand = bases
    .sort((a, b) => b.base - a.base)
    .map(({ post_id, author_id, base, others }) => {
      const k = count.get(author_id) ?? 0;
      count.set(author_id, k + 1);
      return { post_id, score: base * ((1 - floor) * decay ** k + floor) * others };
    })
    .sort((a, b) => b.score - a.score);
  expect(after.items.map(({ post_id }) => post_id)).toEqual(byHand.map(({ post_id }) => post_id));
  after.items.forEach(({ score }, i) => {
    expect(score).toBeCloseTo(byHand[i]?.score as number, 9);
  });
  expect(after.items.map(({ post_id }) => post_id)).not.toEqual(
    plain.items.map(({ post_id }) => post_id),
  );
  expect(new Set([before, plain, after].map(({ weights_checksum }) => weights_checksum)).size).toBe(
    3,
  );
});

test("an unknown user gets a full page of strangers' popular posts", async () => {
  const page = await server.rank({ user_id: "18446744073709551615", limit: 50 });
  expect(page.items).toHaveLength(50);
  expect(page.degraded).toEqual([]);
  for (const { in_network, source, score } of page.items) {
    expect({ in_network, source }).toEqual({ in_network: false, source: "popular" });
    expect(score).toEqual(expect.any(Number));
  }
  expect(new Set(page.items.map(({ author_id }) => author_id)).size).toBeGreaterThan(10);
});

test("named candidates are ranked and nothing else; unknown ones are dropped for missing their core", async () => {
  const viewer = nextViewer();
  const known = recentPosts(viewer).slice(0, 30);
  const page = await server.rank({
    user_id: viewer,
    limit: 200,
    explain: true,
    candidate_post_ids: [...known, "1", known[0] as string, "2"],
  });
  expect(page.items.map(({ post_id }) => post_id).sort()).toEqual(known.toSorted());
  expect(new Set(page.items.map(({ source }) => source))).toEqual(new Set(["given"]));
  expect(
    page.dropped?.map(({ post_id, component }) => ({ post_id, component })).sort(byId),
  ).toEqual(
    [
      { post_id: "1", component: "missing_core" },
      { post_id: "2", component: "missing_core" },
      { post_id: known[0], component: "duplicate" },
    ].sort(byId),
  );
  expect(page.cursor).toBeNull();
});
const byId = (a: { post_id: string | undefined }, b: { post_id: string | undefined }) =>
  Number(a.post_id) - Number(b.post_id);

test("posts that the caller has shown are not shown again", async () => {
  const viewer = nextViewer();
  const candidate_post_ids = recentPosts(viewer).slice(0, 20);
  const seen_post_ids = candidate_post_ids.slice(0, 5);
  const page = await server.rank({
    user_id: viewer,
    candidate_post_ids,
    seen_post_ids,
    explain: true,
  });
  expect(page.items).toHaveLength(15);
  expect(page.dropped?.map(({ post_id }) => post_id).sort()).toEqual(seen_post_ids.toSorted());
  expect(page.dropped?.every(({ component }) => component === "seen_id")).toBe(true);
});

test("following shows followed authors only, newest first, leaving out no original of theirs", async () => {
  const viewer = nextViewer();
  const { graph, posts } = server.parts;
  const page = await server.rank({
    user_id: viewer,
    product: "following",
    limit: 100,
    explain: true,
  });
  const followed = graph.following(viewer);
  const created = page.items.map(({ post_id, author_id, in_network }) => {
    expect(followed.has(author_id) && in_network).toBe(true);
    return posts.get(post_id)?.createdAtMs as number;
  });
  expect(created).toEqual(created.toSorted((a, b) => b - a));
  const shown = new Set(page.items.map(({ post_id }) => post_id));
  const dropped = new Set(
    page.dropped?.filter(({ component }) => component !== "below_page").map((d) => d.post_id),
  );
  const newer = [...posts.values()].filter(
    ({ kind, authorId, createdAtMs, postId }) =>
      kind === "original" &&
      followed.has(authorId) &&
      createdAtMs > (created.at(-1) as number) &&
      !dropped.has(postId),
  );
  expect(newer.length).toBeGreaterThan(20);
  for (const { postId } of newer) expect(shown.has(postId), postId).toBe(true);
});

test("a page may hold 200 posts", async () => {
  const page = await server.rank({ user_id: nextViewer(), limit: 200 });
  expect(page.items).toHaveLength(200);
  const tooLong = await server.post("/v1/rank", { user_id: "1", product: "for_you", limit: 201 });
  expect(tooLong.status).toBe(400);
});

test("a deadline that is over at once gives a degraded page that names the models it did without", async () => {
  const patient = await testServer({ settings: { deadlineGraceMs: 60_000 } });
  const page = await patient.rank({ user_id: nextViewer(), deadline_ms: 1 });
  expect(page.items).toHaveLength(20);
  expect(page.degraded).toEqual(
    expect.arrayContaining([
      { component: "light_model", kind: "deadline" },
      { component: "heavy_model", kind: "deadline" },
    ]),
  );
  // Without a model what is left is the order of time.
  const created = page.items.map(
    ({ post_id }) => patient.parts.posts.get(post_id)?.createdAtMs as number,
  );
  expect(created[0]).toBeGreaterThan(created.at(-1) as number);
});

test("tight deadlines end in a page or a 504 problem, and the server goes on", async () => {
  const viewer = nextViewer();
  const answers = await Promise.all(
    [1, 2, 5, 8, 10, 15, 20, 30].map((deadline_ms) =>
      server.post("/v1/rank", { user_id: viewer, product: "for_you", limit: 20, deadline_ms }),
    ),
  );
  for (const { status, body } of answers) {
    if (status === 200) expect(RankResponseSchema.safeParse(body).success).toBe(true);
    else
      expect({ status, body }).toMatchObject({ status: 504, body: { code: "DEADLINE_EXCEEDED" } });
  }
  const later = await server.rank({ user_id: nextViewer() });
  expect(later.degraded).toEqual([]);
});

test("a cursor that was not given out, or to somebody else, is a 400 at /cursor", async () => {
  const [owner, other] = [nextViewer(), nextViewer()];
  const { cursor } = await server.rank({ user_id: owner });
  for (const [user_id, sent] of [
    [owner, "nonsense"],
    [owner, `${cursor}x`],
    [other, cursor],
  ]) {
    const answer = await server.post("/v1/rank", {
      user_id,
      product: "for_you",
      limit: 20,
      cursor: sent,
    });
    expect(answer).toMatchObject({
      status: 400,
      body: { code: "BAD_REQUEST", errors: [{ pointer: "/cursor" }] },
    });
  }
});
