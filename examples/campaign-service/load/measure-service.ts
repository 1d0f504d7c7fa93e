import { seededRandom, skewed } from '../data/random.ts'
import { CAMPAIGNS } from '../data/social-data.ts'
import { databaseQueries } from './database-queries.ts'
import { loadPaths, type LoadResult } from './http-load.ts'

export interface Comparison {
  readonly title: string
  readonly uncached: LoadResult
  readonly cached: LoadResult
  /** Database operations a request. */
  readonly uncachedQueries: number
  readonly cachedQueries: number
}

/** The same requests without and with the cache. */
export async function compareReads(
  url: string,
  requests: number,
  profiles: number,
): Promise<Comparison[]> {
  const random = seededRandom(7)
  const profilePaths = many(() => `/profiles/${1 + skewed(random, profiles)}`)
  const campaignPaths = many(() => `/campaigns/${1 + skewed(random, CAMPAIGNS)}/summary`)
  const delayPaths = many(() => `/insights/delays?distance=${50 * Math.floor(random() * 40)}`)
  // Fewer of the slow ones without the cache, for the sake of time; all figures are rates and quantiles.
  return [
    await compare(url, 'profile', profilePaths, requests, requests),
    await compare(url, 'campaign summary', campaignPaths, Math.ceil(requests / 8), requests),
    await compare(url, 'flight delays', delayPaths, Math.ceil(requests / 40), requests),
  ]
}

/** Enough different paths that popularity, not their number, decides what the cache can keep. */
function many(make: () => string): string[] {
  return Array.from({ length: 2_000 }, make)
}

async function compare(
  url: string,
  title: string,
  paths: readonly string[],
  uncachedRequests: number,
  cachedRequests: number,
): Promise<Comparison> {
  const uncachedPaths = paths.map((path) => `${path}${path.includes('?') ? '&' : '?'}cache=off`)
  const before = await databaseQueries(url)
  const uncached = await loadPaths(url, uncachedPaths, uncachedRequests)
  const between = await databaseQueries(url)
  const cached = await loadPaths(url, paths, cachedRequests)
  const after = await databaseQueries(url)
  return {
    title,
    uncached,
    cached,
    uncachedQueries: (between - before) / uncached.requests,
    cachedQueries: (after - between) / cached.requests,
  }
}

/** Renames profiles and reads each at once: how many reads still gave the old name. */
export async function countStaleReads(url: string, writes: number): Promise<number> {
  let stale = 0
  for (let index = 0; index < writes; index++) {
    const path = `${url}/profiles/${1 + (index % 50)}`
    const displayName = `renamed ${index}`
    await send(path, 'PUT', { displayName })
    const response = await fetch(path)
    const profile = (await response.json()) as { displayName: string }
    if (profile.displayName !== displayName) stale++
  }
  return stale
}

export interface ScoringResult {
  readonly tasks: number
  readonly tasksPerSecond: number
  /** Profiles that repeat themselves. */
  readonly bots: number
}

/** Scores profiles by tasks of the queue, up to `atOnce` of them together. */
export async function measureScoring(
  url: string,
  tasks: number,
  atOnce: number,
): Promise<ScoringResult> {
  const startedMs = performance.now()
  let bots = 0
  for (let from = 0; from < tasks; from += atOnce) {
    const profileIds = Array.from(
      { length: Math.min(atOnce, tasks - from) },
      (_, i) => from + i + 1,
    )
    const response = await send(`${url}/scores`, 'POST', { profileIds })
    const scores = (await response.json()) as { score: number }[]
    bots += scores.filter(({ score }) => score > 0.5).length
  }
  return { tasks, tasksPerSecond: (tasks * 1000) / (performance.now() - startedMs), bots }
}

async function send(url: string, method: string, body: unknown): Promise<Response> {
  const headers = { 'content-type': 'application/json' }
  const response = await fetch(url, { method, headers, body: JSON.stringify(body) })
  if (!response.ok) throw new Error(`${method} ${url} answered ${response.status}`)
  return response
}
