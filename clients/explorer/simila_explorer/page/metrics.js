// Prometheus' text, and what two readings of it say of the time between.

/** Samples by name: `[{ labels, value }]`. */
export function parsed(text) {
  const samples = new Map();
  for (const line of text.split("\n")) {
    const match = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (!match) continue;
    const labels = Object.fromEntries([...(match[2] ?? "").matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map((pair) => [pair[1], pair[2]]));
    if (!samples.has(match[1])) samples.set(match[1], []);
    samples.get(match[1]).push({ labels, value: Number(match[3]) });
  }
  return samples;
}

/** What people's calls cost: this page's own looking at the server is not among them. */
const isAsked = ({ labels }) => labels.route?.startsWith("/v1") && !["/v1/models", "/v1/collections"].includes(labels.route);

/** Figures of the time between two readings; null where nothing happened. */
export function between(before, after, seconds) {
  const grown = (name, keep) => total(after, name, keep) - total(before, name, keep);
  const batches = grown("simila_batch_rows_count");
  return {
    throughput: grown("simila_http_seconds_count", isAsked) / seconds,
    latency: median(before, after, grown("simila_http_seconds_count", isAsked)),
    batch: batches ? grown("simila_batch_rows_sum") / batches : null,
    queue: total(after, "simila_work_in_flight"),
  };
}

function total(samples, name, keep = () => true) {
  return (samples.get(name) ?? []).filter(keep).reduce((sum, sample) => sum + sample.value, 0);
}

/** The median in milliseconds, linear within its bucket. */
function median(before, after, requests) {
  if (!requests) return null;
  const edges = new Map();
  for (const [samples, sign] of [[after, 1], [before, -1]]) {
    for (const sample of (samples.get("simila_http_seconds_bucket") ?? []).filter(isAsked)) {
      const edge = sample.labels.le === "+Inf" ? Infinity : Number(sample.labels.le);
      edges.set(edge, (edges.get(edge) ?? 0) + sign * sample.value);
    }
  }
  let [lower, fewer] = [0, 0];
  for (const [edge, reached] of [...edges].sort((a, b) => a[0] - b[0])) {
    if (reached >= requests / 2) {
      if (edge === Infinity) return lower * 1000;
      return (lower + ((edge - lower) * (requests / 2 - fewer)) / (reached - fewer)) * 1000;
    }
    [lower, fewer] = [edge, reached];
  }
  return null;
}
