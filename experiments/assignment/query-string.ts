/** Index of the variation that the URL's query names for this experiment; null when it names none that exists. */
export function queryStringVariation(key: string, url: string, count: number): number | null {
  const query = url.split("#", 1)[0]?.split("?").slice(1).join("?");
  if (!query) return null;
  const text = new URLSearchParams(query).get(key);
  if (text === null || !/^[0-9]+$/.test(text)) return null;
  const index = Number(text);
  return index < count ? index : null;
}
