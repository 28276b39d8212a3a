import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import { PostStore } from "../../candidates/post-store.ts";
import { SocialGraph } from "../../candidates/social-graph.ts";
import { EventSchema } from "../../datasets/events.ts";
import { NewPosts } from "../state/new-posts.ts";
import { type TestApp, testApp } from "./app.fixture.ts";
import { closeGracefully } from "./shutdown.ts";

const open: TestApp[] = [];
afterEach(async () => {
  for (const app of open.splice(0)) await closeGracefully(app, 1_000);
});

/** A listening app with streams, and a way to log posts of user 2, whom user 1 follows. */
async function streaming(settings: { streamConnections?: number; apiToken?: string } = {}) {
  const posts = new PostStore();
  const graph = new SocialGraph();
  const newPosts = new NewPosts({ posts, graph }, 0);
  const app = await testApp({ newPosts, settings });
  open.push(app);
  await app.server.listen({ port: 0, host: "127.0.0.1" });
  const { port } = app.server.server.address() as AddressInfo;
  let seq = 0;
  const log = (fields: object): void => {
    const event = { ...EventSchema.parse({ time_ms: 1_000, ...fields }), seq: ++seq };
    posts.apply(event);
    graph.apply(event);
    newPosts.apply([event]);
  };
  log({ type: "follow", user_id: "1", target_id: "2" });
  let made = 100;
  return {
    app,
    url: `http://127.0.0.1:${port}/v1/stream`,
    log,
    post: () => log({ type: "post_created", post_id: String(++made), author_id: "2" }),
  };
}

/** Reads a stream's messages as they come. */
function messages(response: Response): () => Promise<{ id: string; data: object } | undefined> {
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  const decoder = new TextDecoder();
  let text = "";
  return async () => {
    for (;;) {
      const end = text.indexOf("\n\n");
      if (end < 0) {
        const { value, done } = await reader.read();
        if (done) return undefined;
        text += decoder.decode(value, { stream: true });
        continue;
      }
      const block = text.slice(0, end);
      text = text.slice(end + 2);
      const field = (name: string) => new RegExp(`^${name}: (.*)$`, "m").exec(block)?.[1];
      const data = field("data");
      if (data !== undefined) return { id: field("id") as string, data: JSON.parse(data) };
    }
  };
}

test("a viewer hears how many posts came, not what they are, and goes on after a lost connection", async () => {
  const { url, post } = await streaming();
  const first = await fetch(`${url}?user_id=1`);
  expect(first.headers.get("content-type")).toBe("text/event-stream");
  const next = messages(first);
  expect(await next()).toMatchObject({ id: "1.1", data: { new_posts: 0, after: 1, exact: true } });
  post();
  post();
  const told = await next();
  expect(told).toEqual({
    id: "1.3",
    data: { new_posts: 2, exact: true, after: 1, position: 3 },
  });
  await first.body?.cancel().catch(() => {});

  post();
  const again = await fetch(`${url}?user_id=1`, {
    headers: { "last-event-id": told?.id as string },
  });
  expect(await messages(again)()).toMatchObject({ id: "1.4", data: { new_posts: 3, after: 1 } });
  const loaded = await fetch(`${url}?user_id=1&after=4`);
  expect(await messages(loaded)()).toMatchObject({ data: { new_posts: 0, after: 4 } });
});

test("a burst is one message: between two the numbers are merged", async () => {
  const { url, post } = await streaming();
  const next = messages(await fetch(`${url}?user_id=1`));
  await next();
  for (let i = 0; i < 50; i++) post();
  expect(await next()).toMatchObject({ data: { new_posts: 50 } });
});

test("beyond the limit a client is told to poll, and polling answers the same", async () => {
  const { url, post } = await streaming({ streamConnections: 1 });
  const first = await fetch(`${url}?user_id=1`);
  const full = await fetch(`${url}?user_id=1`);
  expect(full.status).toBe(503);
  expect(Number(full.headers.get("retry-after"))).toBeGreaterThan(0);
  expect(await full.json()).toMatchObject({
    code: "STREAMS_FULL",
    remedy: expect.stringContaining("/v1/stream/poll"),
  });
  post();
  const polled = await fetch(`${url}/poll?user_id=1&after=1`);
  expect(await polled.json()).toEqual({ new_posts: 1, exact: true, after: 1, position: 2 });
  await first.body?.cancel();
  await expect
    .poll(async () => (await fetch(`${url}?user_id=1`)).status, { timeout: 10_000 })
    .toBe(200);
});

test("a server that stops ends its streams, and stops", async () => {
  const { app, url } = await streaming();
  const next = messages(await fetch(`${url}?user_id=1`));
  await next();
  expect(await closeGracefully(app, 5_000)).toBe(true);
  expect(await next()).toBeUndefined();
});

test("wrong parameters are named, and a token is asked for where the server has one", async () => {
  const { url } = await streaming({ apiToken: "api-token-0123456789" });
  const authorization = "Bearer api-token-0123456789";
  expect((await fetch(`${url}?user_id=1`)).status).toBe(401);
  const wrong = await fetch(`${url}?user_id=x&after=-1&since=2`, { headers: { authorization } });
  expect(wrong.status).toBe(400);
  const { errors } = (await wrong.json()) as { errors: { pointer: string }[] };
  expect(errors.map(({ pointer }) => pointer).sort()).toEqual(["?after", "?since", "?user_id"]);
});
