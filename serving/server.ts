import { randomBytes } from "node:crypto";
import type { Logger } from "pino";
import { SegmentRoller } from "../datasets/log/roller.ts";
import { openDataDir } from "../datasets/storage/data-dir.ts";
import { openLmdb } from "../datasets/storage/lmdb.ts";
import { RoostError } from "../errors.ts";
import { exposureLogger } from "../experiments/assignment/exposure-logger.ts";
import { lmdbStickyStore } from "../experiments/assignment/lmdb-sticky-store.ts";
import type { StateView } from "../features/entities.ts";
import { AfterAnswers } from "./after-answers.ts";
import { closeInTurn } from "./close-in-turn.ts";
import { logExposures } from "./effects/log-exposures.ts";
import { logServed } from "./effects/log-served.ts";
import { ForgottenReceipts } from "./erasure/forgotten-receipts.ts";
import { followingTimeline } from "./following-timeline.ts";
import { type App, createApp } from "./http/app.ts";
import type { ServerClock } from "./http/services.ts";
import { closeGracefully } from "./http/shutdown.ts";
import type { StartSession } from "./inference/start-session.ts";
import type { KeptRanking } from "./kept-ranking.ts";
import { featureMetrics } from "./metrics/feature-metrics.ts";
import { createMetrics } from "./metrics/metrics.ts";
import { openConfiguration } from "./open-configuration.ts";
import { INLINE_PARAMETERS, leaseAll, openModels, STAGES } from "./open-models.ts";
import { openTowers } from "./open-towers.ts";
import { cursorSecret } from "./paging/cursor-secret.ts";
import { pager } from "./paging/pager.ts";
import { RankingStore } from "./paging/ranking-store.ts";
import { following } from "./pipelines/following.ts";
import { forYou } from "./pipelines/for-you.ts";
import type { RankParts } from "./rank-parts.ts";
import { createRankService } from "./rank-service.ts";
import type { Settings } from "./settings.ts";
import { RETRIEVAL_TIMEOUT_MS } from "./sources/two-tower.ts";
import { MACHINE_TIME, type Time } from "./state/clock.ts";
import { EventIntake } from "./state/event-intake.ts";
import { LogConsumer } from "./state/log-consumer.ts";
import { NewPosts } from "./state/new-posts.ts";
import { openClock } from "./state/open-clock.ts";
import { openSpace, type RedisPatience } from "./state/open-space.ts";
import { PostVectors } from "./state/post-vectors.ts";
import { RetrievalDelay, type RetrievalObserver } from "./state/retrieval-delay.ts";
import { followFile, takeFirst } from "./versions/follow-file.ts";
import { weightsKeeper } from "./versions/weights-kind.ts";

/** One request in fifty logs every candidate that it scored: enough to rescore offline, little to store. */
const CANDIDATE_LOG_SHARE = 0.02;
const MINUTE_MS = 60_000;
/** How often fan-out looks at its load. */
const LOAD_LOOK_MS = 100;

export interface ServerOptions extends RedisPatience {
  /** Where time comes from. Default: the machine. */
  readonly time?: Time;
  /** Share of requests that log every candidate, 0–1. */
  readonly candidateLogShare?: number;
  /** How a model's worker is started. */
  readonly startSession?: StartSession;
  /** Records in a segment, and time between two looks for what is to be rolled, trimmed and swept. */
  readonly rowsPerSegment?: number;
  readonly upkeepEveryMs?: number;
  /** Told of every post that retrieval has come to find, or not to find any more. */
  readonly onRetrieval?: RetrievalObserver;
  /** Longest wait for the two-tower source. */
  readonly retrievalTimeoutMs?: number;
  /**
   * `as_is`: what is in force in the data directory stays in force, whatever the settings' files say: for a command that
   * looks on. Default: the files are taken and followed.
   */
  readonly configuration?: "follow" | "as_is";
}

/** A server with everything behind it, listening or not. */
export interface Server {
  readonly app: App;
  readonly rank: RankParts;
  readonly features: StateView;
  readonly clock: ServerClock;
  /** The clock's moment at the start: what is ranked at it is the same at the next start of an untouched world. */
  readonly startedMs: number;
  /** Resolves when the state reflects everything that is logged now. */
  readonly caughtUp: () => Promise<void>;
  readonly vectors: PostVectors;
  /** Resolves when every post can be retrieved that is known now; at once without towers. */
  readonly retrievable: () => Promise<void>;
  readonly close: () => Promise<void>;
}

/**
 * Opens the data directory, models, configuration and API; does not listen yet.
 * @throws DATA_DIR_LOCKED, BAD_BUNDLE, BAD_CONFIG … when a part cannot be used; what was opened by then is closed again
 */
export async function openServer(
  settings: Settings,
  logger: Logger,
  options: ServerOptions = {},
): Promise<Server> {
  const opened: (() => unknown)[] = [];
  const closeAll = (): Promise<void> => closeInTurn(opened);
  try {
    return await open(settings, logger, options, opened, closeAll);
  } catch (error) {
    await closeAll();
    throw error;
  }
}

async function open(
  settings: Settings,
  logger: Logger,
  options: ServerOptions,
  opened: (() => unknown)[],
  closeAll: () => Promise<void>,
): Promise<Server> {
  const { time = MACHINE_TIME, candidateLogShare = CANDIDATE_LOG_SHARE } = options;
  const failed =
    (what: string) =>
    (error: unknown): void =>
      logger.error({ err: error }, `${what} failed`);
  const dir = openDataDir(settings.dataDir, "own");
  opened.push(() => dir.close());
  let lost: RoostError | undefined;
  const { log, spool, live, source, figures, timeline, fanOut, checkpoint, drain, close } =
    await openSpace(settings, dir, time, logger, opened, options, (error) => {
      lost = error;
      logger.fatal({ err: error }, "the state on Redis is lost to this process");
    });
  opened.push(close);
  const clock = await openClock(settings, dir, time, log, opened);
  const startedMs = clock.nowMs();
  spool?.begin(() => clock.nowMs());
  const { broadcast, features } = live;

  const stickyRoot = openLmdb(dir.at("sticky"));
  opened.push(() => stickyRoot.close());
  const sticky = lmdbStickyStore(stickyRoot);
  live.onUserDeleted(({ user_id }) => sticky.forget(user_id));
  const receipts = new ForgottenReceipts(dir.path, {
    parts: () => live.positions,
    wallMs: time.wallMs,
    salt: () => randomBytes(16).toString("hex"),
    onError: failed("keeping a receipt"),
  });
  live.onUserDeleted((deletion) => receipts.take(deletion));
  opened.push(() => receipts.close());

  const consumer = new LogConsumer(live, { segments: dir.segments, log });
  opened.push(() => consumer.close());
  if (drain !== undefined) opened.push(drain);
  await consumer.start((error) => logger.fatal({ err: error }, "the log consumer stopped"));

  const metrics = createMetrics();
  featureMetrics(metrics.registry, figures);
  if (spool !== undefined) metrics.spool(spool);
  metrics.deletedUsers(live.counts);
  const delay = new RetrievalDelay(
    (step, seconds, postId) => {
      metrics.retrieval(step, seconds);
      options.onRetrieval?.(step, seconds, postId);
    },
    () => performance.now(),
  );
  const slots = await openModels(settings, dir, logger, options.startSession, opened);
  const vectors = new PostVectors({
    posts: broadcast.posts,
    features: source,
    dir: dir.at("vectors"),
    nowMs: () => clock.nowMs(),
    session: {
      inlineParameters: INLINE_PARAMETERS,
      ...(options.startSession && { startSession: options.startSession }),
    },
    logger,
    onChange: delay,
  });
  live.onApplied((events) => vectors.apply(events));
  const newPosts = new NewPosts(broadcast, live.position);
  live.onApplied((events) => newPosts.apply(events));
  opened.push(() => vectors.close());
  const towers = await openTowers(settings, dir, logger, vectors);
  opened.push(() => towers.close());
  const { versions, weights, experiments } = await openConfiguration(
    settings,
    dir,
    {
      clock,
      metrics,
      logger,
      failed,
      take: options.configuration === "as_is" ? takeFirst : followFile,
    },
    opened,
  );

  const intake = new EventIntake(
    { log, consumer, posts: broadcast.posts, graph: broadcast.graph, clock },
    {
      unknownUsers: settings.unknownUsers,
      onArrival: (events) => {
        if (vectors.ready) delay.arrived(events);
      },
      ...(spool && { aside: () => spool.spooled }),
      ...(fanOut && { load: fanOut.load, random: Math.random }),
    },
  );
  if (fanOut !== undefined) {
    const looking = setInterval(() => fanOut.look(), LOAD_LOOK_MS);
    opened.push(() => clearInterval(looking));
    metrics.fanOut(fanOut);
  }
  const readFollowing = followingTimeline(timeline, broadcast.graph);
  const onError = failed("work after an answer");
  const after = new AfterAnswers(onError);
  const exposures = exposureLogger(
    async (event) => void (await intake.write([event])),
    {},
    onError,
  );
  const effects = [
    logServed((events) => intake.write(events), candidateLogShare),
    logExposures(exposures),
  ];
  const rankings = new RankingStore<KeptRanking>({
    ttlMs: settings.rankingTtlMs,
    capacity: settings.rankingsKept,
  });
  live.onUserDeleted(({ user_id }) => rankings.forget(({ query }) => query.viewerId === user_id));
  const keepWeights = weightsKeeper(versions);
  const rank: RankParts = {
    pipelines: {
      for_you: forYou(broadcast, source, effects, {
        vectors,
        timeoutMs: options.retrievalTimeoutMs ?? RETRIEVAL_TIMEOUT_MS,
      }),
      following: following(broadcast, effects),
    },
    posts: broadcast.posts,
    graph: broadcast.graph,
    history: broadcast.history,
    clock,
    pager: pager(rankings, settings.cursorSecret ?? cursorSecret(dir.path)),
    sticky,
    weights: () => weights.current().value,
    experiments: () => experiments.current().value,
    lease: () => leaseAll(slots),
    logPosition: () => live.position,
    write: (events) => intake.write(events),
    keepWeights: (effective) => keepWeights(effective, clock.nowMs()),
    defaultDeadlineMs: settings.defaultDeadlineMs,
    now: () => performance.now(),
    after,
    onDegraded: ({ component, stage, kind, detail, error }) => {
      // An error of ours that nothing caused says all in its text; another's stack tells where to look.
      const known = error instanceof RoostError && error.cause === undefined;
      logger.warn(
        { component, stage, kind, detail, ...(!known && { err: error }) },
        "a component was done without",
      );
    },
  };

  const roller = new SegmentRoller({
    log,
    dir: dir.segments,
    ...(options.rowsPerSegment !== undefined && { rowsPerSegment: options.rowsPerSegment }),
  });
  const roll = async (nowMs: number): Promise<void> => {
    const rolled = await roller.roll(nowMs);
    // What is rolled is many records, or old ones: a crash must not have them all read again.
    if (rolled.length > 0) await checkpoint();
  };
  const upkeep = setInterval(() => {
    const nowMs = clock.nowMs();
    broadcast.trim(nowMs);
    vectors.tend(nowMs);
    rankings.sweep(nowMs);
    void roll(nowMs).catch(failed("rolling the log into segments"));
  }, options.upkeepEveryMs ?? MINUTE_MS);
  opened.push(() => clearInterval(upkeep));
  const app = await createApp({
    rank: createRankService(rank),
    events: intake,
    weights: {
      current: () => {
        const { value } = weights.current();
        return {
          name: value.name,
          checksum: value.checksum,
          weights: value.weights as Record<string, number>,
          parameters: value.params as Record<string, number>,
        };
      },
    },
    health: {
      live: () => consumer.failure === undefined && lost === undefined,
      ready: () => {
        const reasons = [
          ...(consumer.failure === undefined ? [] : ["the log consumer has stopped"]),
          ...(lost === undefined ? [] : [lost.message]),
          ...STAGES.filter((stage) => slots[stage].manifest === undefined).map(
            (stage) => `there is no ${stage} model`,
          ),
        ];
        return { ready: reasons.length === 0, reasons };
      },
    },
    clock,
    versions,
    counts: live.counts,
    timelines: {
      following: (userId, request) => readFollowing(userId, { ...request, nowMs: clock.nowMs() }),
      position: () => live.position,
    },
    newPosts,
    metrics,
    logger,
    settings,
  });
  towers.begin();
  receipts.begin(() => vectors.forgotten());
  return {
    app,
    rank,
    features,
    clock,
    startedMs,
    caughtUp: () => consumer.applied(log.lastSeq()),
    vectors,
    retrievable: () => towers.loaded.then(() => vectors.settled()),
    close: async () => {
      await closeGracefully(app, settings.shutdownTimeoutMs);
      // What was answered is logged as served, also by a server that ends.
      await after.settled();
      await closeAll();
    },
  };
}
