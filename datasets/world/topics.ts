/** The 24 topics; a latent interest vector has one share per topic, a label names one. */
export const TOPICS = [
  "football",
  "basketball",
  "tennis",
  "running",
  "cooking",
  "travel",
  "gardening",
  "fashion",
  "film",
  "series",
  "pop_music",
  "classical_music",
  "games",
  "anime",
  "books",
  "history",
  "science",
  "space",
  "programming",
  "gadgets",
  "business",
  "politics",
  "climate",
  "pets",
] as const;

export const TOPIC_COUNT = TOPICS.length;
export const LANGUAGES = ["en", "es", "ja"] as const;
