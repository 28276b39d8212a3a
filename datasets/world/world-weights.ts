/**
 * What the world values: the x-2026 weights for the heads that the world has, without offset and mutual boost.
 * Source: x-algorithm 2026, home-mixer/params/param.rs. `repost` is its retweet, `video_view` its vqv.
 */
export const WORLD_WEIGHTS: Readonly<Record<string, number>> = {
  favorite: 0.5,
  reply: 5,
  repost: 1,
  quote: 5,
  click: 0.4,
  profile_click: 0,
  photo_expand: 0.05,
  video_view: 0.05,
  share: 2,
  follow_author: 4,
  dwell: 0,
  dwell_seconds: 0.004,
  not_interested: -43.2,
  mute_author: -58.8,
  block_author: -31.2,
  report: -234,
  reply_engaged_by_author: 0,
};
