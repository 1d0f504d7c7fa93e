import { describeWithRedis } from '@dharma/testkit/vitest'
import { expect, it } from 'vitest'
import { runScenario } from './run-scenario.ts'
import {
  brokenWays,
  clusterChanges,
  everything,
  frozenProcesses,
  hangs,
  listenersKilled,
  logTrimmed,
  metadataLost,
  races,
  restarts,
  sentinelFailovers,
  skewedClocks,
  type Scenario,
} from './scenarios.ts'
import { chooseSeed } from './seeds.ts'

interface Run {
  readonly scenario: Scenario
  readonly durationMs: number
  readonly round: number
}

const ADAPTER = new URL('dharma.ts', import.meta.url).href
const SHORT_MS = 3_000
/** Long enough for many faults, short enough that servers and processes are fresh now and then. */
const SOAK_RUN_MS = 40_000
/** Start of servers, faults that are mended first, and the check at rest. */
const BESIDES_MS = 90_000
const SOAK_MINUTES = Number(process.env['DHARMA_SOAK_MINUTES'] ?? 0)

const SCENARIOS: readonly Scenario[] = [
  races,
  skewedClocks,
  listenersKilled,
  restarts,
  hangs,
  brokenWays,
  metadataLost,
  logTrimmed,
  frozenProcesses,
  everything,
  sentinelFailovers,
  clusterChanges,
]

const seed = chooseSeed()

function runs(): Run[] {
  if (SOAK_MINUTES <= 0) {
    return SCENARIOS.map((scenario) => ({ scenario, durationMs: SHORT_MS, round: 0 }))
  }
  const count = Math.ceil((SOAK_MINUTES * 60_000) / SOAK_RUN_MS)
  // What has the most kinds of faults runs most often.
  const wheel = [everything, sentinelFailovers, everything, clusterChanges, ...SCENARIOS]
  return Array.from({ length: count }, (_, round) => ({
    scenario: wheel[round % wheel.length] ?? everything,
    durationMs: SOAK_RUN_MS,
    round,
  }))
}

describeWithRedis('the promise holds over several processes while', () => {
  it.for(runs())(
    '$scenario.name (round $round)',
    { timeout: SOAK_RUN_MS + BESIDES_MS },
    async ({ scenario, durationMs, round }) => {
      const options = { adapter: ADAPTER, seed: seed + round, durationMs }
      const report = await runScenario(scenario, options)
      process.stdout.write(`${report.summary}\n`)
      report.assertKept()
      // A run in which little was read from the cache, or nothing went wrong, would prove nothing.
      expect(report.counts.hits).toBeGreaterThan(durationMs / 50)
      expect(report.counts.invalidations).toBeGreaterThan(durationMs / 200)
      expect(report.faults).toBeGreaterThanOrEqual(scenario.faults.length > 0 ? 1 : 0)
    },
  )
})
