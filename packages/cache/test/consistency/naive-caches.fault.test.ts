import { describeWithRedis } from '@dharma/testkit/vitest'
import { expect, it } from 'vitest'
import type { PromiseNumber } from './messages.ts'
import type { NaiveVariant } from './naive-cache.ts'
import { Random } from './random.ts'
import { runScenario } from './run-scenario.ts'
import {
  hangs,
  metadataLost,
  races,
  restarts,
  skewedClocks,
  everything,
  type Scenario,
} from './scenarios.ts'
import { chooseSeed } from './seeds.ts'

const ADAPTER = new URL('naive-cache.ts', import.meta.url).href
/** Given up after this long; a wrong cache is caught within a second or two. */
const DURATION_MS = 15_000

interface Case {
  readonly variant: NaiveVariant
  readonly scenario: Scenario
  readonly breaks: readonly PromiseNumber[]
}

const WRONG: readonly Case[] = [
  { variant: 'write-back', scenario: races, breaks: [1, 2] },
  { variant: 'deaf', scenario: races, breaks: [2] },
  { variant: 'wall-clock', scenario: skewedClocks, breaks: [1, 2] },
  { variant: 'trusting', scenario: metadataLost, breaks: [1, 2] },
  { variant: 'hanging', scenario: hangs, breaks: [6] },
  { variant: 'throwing', scenario: restarts, breaks: [6] },
  { variant: 'forgetful', scenario: restarts, breaks: [2] },
]

describeWithRedis('the checker', () => {
  it.for(WRONG)('catches a cache that is $variant', async ({ variant, scenario, breaks }) => {
    const options = { adapter: ADAPTER, variant, seed: chooseSeed(), durationMs: DURATION_MS }
    const report = await runScenario(scenario, { ...options, skipsRest: true })
    expect(breaks).toContain(report.firstViolation().promise)
    expect(String(report)).toContain(`DHARMA_CHECKER_SEED=${options.seed}`)
    expect(String(report)).toContain('VIOLATION')
  })

  it('finds nothing to blame in a cache that keeps nothing', async () => {
    const options = { adapter: ADAPTER, seed: chooseSeed(), durationMs: 3_000 }
    const report = await runScenario(everything, { ...options, variant: 'keeps-nothing' })
    report.assertKept()
    expect(report.counts.reads).toBeGreaterThan(100)
  })

  it('does the same things again with the same seed', () => {
    const draw = (seed: number): number[] => {
      const random = new Random(seed)
      return Array.from({ length: 20 }, () => random.integer(0, 1_000))
    }
    expect(draw(5)).toEqual(draw(5))
    expect(draw(5)).not.toEqual(draw(6))
  })
})
