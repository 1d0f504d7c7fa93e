import autocannon from 'autocannon'

export interface LoadResult {
  readonly requests: number
  readonly requestsPerSecond: number
  /** Milliseconds. */
  readonly p50Ms: number
  readonly p99Ms: number
  /** Answers other than 2xx, and requests without an answer. */
  readonly failed: number
}

/** `GET`s of the paths in turn, from 32 connections, until `requests` have been answered. */
export async function loadPaths(
  url: string,
  paths: readonly string[],
  requests: number,
): Promise<LoadResult> {
  const result = await autocannon({
    url,
    connections: 32,
    amount: requests,
    requests: paths.map((path) => ({ method: 'GET', path })),
  })
  return {
    requests: result.requests.total,
    requestsPerSecond: result.requests.total / result.duration,
    p50Ms: result.latency.p50,
    p99Ms: result.latency.p99,
    failed: result.non2xx + result.errors + result.timeouts,
  }
}
