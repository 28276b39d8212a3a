import { DecayedCounters } from "./decayed-counters.ts";
import { signalIndex } from "./signals.ts";

const VIEW = signalIndex("video_view");
const LONG_VIEW = signalIndex("long_view");
const FAVORITE = signalIndex("favorite");

/**
 * Counts of engagements on the surface `elsewhere`: of what was watched, searched or opened outside of logged rankings. There
 * are no impressions there, so a view is what rates are taken of.
 */
export const elsewhereCounters = new DecayedCounters([VIEW, LONG_VIEW, FAVORITE], ["50d"]);

export const ELSEWHERE_VIEWS = elsewhereCounters.slot(VIEW, "50d");
export const ELSEWHERE_LONG_VIEWS = elsewhereCounters.slot(LONG_VIEW, "50d");
export const ELSEWHERE_FAVORITES = elsewhereCounters.slot(FAVORITE, "50d");
