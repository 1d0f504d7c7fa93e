import { describeWithRedis } from '@dharma/testkit/vitest'
import { expect, it } from 'vitest'
import { runScenario } from '../consistency/run-scenario.ts'
import {
  hangs,
  listenersKilled,
  metadataLost,
  races,
  restarts,
  skewedClocks,
  type Scenario,
} from '../consistency/scenarios.ts'
import { chooseSeed } from '../consistency/seeds.ts'

/** Given up after this long; both are caught within a second or two. */
const DURATION_MS = 20_000

interface Case {
  readonly peer: 'bentocache' | 'cacheable'
  readonly scenario: Scenario
}

const CASES: readonly Case[] = [
  ...[races, skewedClocks, listenersKilled, metadataLost, hangs].map((scenario): Case => ({
    peer: 'bentocache',
    scenario,
  })),
  ...[races, metadataLost, restarts].map((scenario): Case => ({ peer: 'cacheable', scenario })),
]

describeWithRedis('the checker catches', () => {
  it.for(CASES)('$peer while $scenario.name', async ({ peer, scenario }) => {
    const adapter = new URL(`${peer}.ts`, import.meta.url).href
    const seed = chooseSeed()
    const options = { adapter, seed, durationMs: DURATION_MS, skipsRest: true }
    const report = await runScenario(scenario, options)
    const first = report.firstViolation()
    process.stdout.write(`${peer}, ${report.summary}\n  ${first.what.split('\n')[0]}\n`)
    // Races make an old value come back; an outage may also make callers wait or fail.
    const possible = scenario === hangs || scenario === restarts ? [1, 2, 6] : [1, 2]
    expect(possible).toContain(first.promise)
  })
})
