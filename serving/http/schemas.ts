import { z } from "zod";
import { HEADS, type Head, type HeadName } from "../../datasets/heads.ts";
import { Id } from "../../datasets/ids.ts";

/** Pages are at most this long. */
export const MAX_LIMIT = 200;
/** As many as the light ranker takes. */
const MAX_CANDIDATES = 3_000;

const Product = z.enum(["for_you", "following"]);

const RequestContext = z
  .strictObject({
    utc_offset_minutes: z
      .int()
      .min(-840)
      .max(840)
      .optional()
      .describe("Offset of the viewer's wall clock from UTC"),
    country: z.string().min(2).max(8).optional(),
    language: z.string().min(2).max(8).optional(),
    surface: z.string().min(1).max(64).optional().describe("The screen that shows the page"),
    device: z.enum(["android", "ios", "web", "other"]).optional(),
    forced_variations: z
      .record(z.string().min(1).max(200), z.string().min(1).max(200))
      .optional()
      .describe("Experiment key → arm to serve whatever the hash says; never logged as exposure"),
  })
  .describe(
    "What is known of the moment of the request. Features read `surface` only; the rest is for conditions of experiments",
  );

/** Weights by head. The sign says what the head means, so it cannot be turned round here. */
const weightOf = (head: Head) =>
  (head.sign === 1 ? z.number().min(0).max(1e6) : z.number().min(-1e6).max(0))
    .optional()
    .describe(head.description);

const WeightOverrides = z
  .strictObject(
    Object.fromEntries(HEADS.map((head) => [head.name, weightOf(head)])) as Record<
      HeadName,
      ReturnType<typeof weightOf>
    >,
  )
  .describe("Weights that replace the current ones for this request only");

/** `POST /v1/rank`. */
export const RankRequestSchema = z
  .strictObject({
    user_id: Id.describe("The viewer. An unknown one gets a cold-start timeline"),
    product: Product,
    limit: z.int().min(1).max(MAX_LIMIT).describe("Posts on the page"),
    cursor: z
      .string()
      .min(1)
      .max(1_000)
      .optional()
      .describe("From the page before: asks for the next page of the same ranking"),
    seen_post_ids: z
      .array(Id)
      .max(5_000)
      .optional()
      .describe("Posts that the client has shown and the server may not know of yet"),
    candidate_post_ids: z
      .array(Id)
      .min(1)
      .max(MAX_CANDIDATES)
      .optional()
      .describe("Rank these instead of asking the sources"),
    context: RequestContext.optional(),
    weights: WeightOverrides.optional(),
    explain: z
      .boolean()
      .optional()
      .describe("Adds every head, weight and multiplier, and why candidates were dropped"),
    deadline_ms: z
      .int()
      .min(1)
      .max(60_000)
      .optional()
      .describe("Time that the answer may take; near it the ranking degrades instead of failing"),
  })
  .describe("Asks what a user should see now");
export type RankRequest = z.output<typeof RankRequestSchema>;

const ItemExplanation = z
  .strictObject({
    heads: z.array(
      z.strictObject({
        head: z.string(),
        probability: z.number().nullable().describe("null: the model gave none"),
        weight: z.number(),
        contribution: z.number().describe("probability × weight, 0 behind a closed gate"),
      }),
    ),
    base: z.number().describe("The offset weighted sum, before multipliers"),
    multipliers: z.array(z.strictObject({ name: z.string(), value: z.number() })),
  })
  .describe("base × every multiplier = score, to 1e-9 relative");

const RankedItem = z.strictObject({
  post_id: Id,
  author_id: Id,
  rank: z.int().min(1).describe("Place in the whole ranking; runs on over pages"),
  score: z.number(),
  source: z.string().describe("The candidate source that brought it first"),
  in_network: z.boolean(),
  explain: ItemExplanation.optional(),
});

/** The answer of `POST /v1/rank`. */
export const RankResponseSchema = z.strictObject({
  request_id: z.string(),
  items: z.array(RankedItem).max(MAX_LIMIT),
  cursor: z.string().nullable().describe("null: nothing follows"),
  model_versions: z.record(z.string(), z.string()).describe("Stage → model version"),
  weights_checksum: z.string().describe("GET /v1/versions/{checksum} tells its content for ever"),
  experiments: z.array(z.strictObject({ key: z.string(), variation: z.int().min(0) })),
  degraded: z
    .array(z.strictObject({ component: z.string(), kind: z.string() }))
    .describe("Components that failed or were late and were done without"),
  dropped: z
    .array(
      z.strictObject({
        post_id: Id,
        source: z.string(),
        component: z.string(),
        rule: z.string().optional(),
      }),
    )
    .optional()
    .describe("With explain: every candidate that is not on the page"),
});
export type RankResponse = z.output<typeof RankResponseSchema>;

/** The answer of `GET /v1/weights`. */
export const WeightsResponseSchema = z.strictObject({
  name: z.string(),
  checksum: z.string(),
  weights: z.record(z.string(), z.number()).describe("Head → weight"),
  parameters: z.record(z.string(), z.number()).describe("What else the weighted sum depends on"),
});
export type WeightsResponse = z.output<typeof WeightsResponseSchema>;

const FieldProblem = z.strictObject({ pointer: z.string(), detail: z.string() });

const EventResult = z.strictObject({
  index: z.int().min(0),
  status: z
    .enum(["accepted", "duplicate", "refused"])
    .describe("duplicate: this event_id was taken in the last 48 h; it is not applied again"),
  detail: z.string().optional().describe("Why it was refused"),
  errors: z
    .array(FieldProblem)
    .optional()
    .describe("Of a malformed event: every wrong field by its pointer into the sent body"),
});

/** The answer of `POST /v1/events`. */
export const EventsResponseSchema = z.strictObject({
  accepted: z.int().min(0),
  duplicates: z.int().min(0),
  refused: z.int().min(0),
  results: z.array(EventResult).describe("One per sent event, in the sent order"),
});
export type EventsResponse = z.output<typeof EventsResponseSchema>;

export const LiveSchema = z.strictObject({ live: z.boolean() });
export const ReadySchema = z.strictObject({ ready: z.boolean(), reasons: z.array(z.string()) });

/** RFC 9457, with our `code`, `remedy`, `request_id` and `errors`. */
export const ProblemSchema = z.strictObject({
  type: z.string().describe("Where this code is explained"),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  instance: z.string().optional().describe("The path that was asked"),
  code: z.string().describe("Stable name of the problem"),
  remedy: z.string(),
  request_id: z.string(),
  errors: z
    .array(FieldProblem)
    .optional()
    .describe('Every wrong field by JSON pointer (RFC 6901) into the sent body; "" = all of it'),
});
export type Problem = z.output<typeof ProblemSchema>;
