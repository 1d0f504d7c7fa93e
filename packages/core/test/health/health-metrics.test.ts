import { createHealth, degraded } from '@dharma/core/health'
import { createMetrics } from '@dharma/core/metrics'
import { ManualClock } from '@dharma/core/testing'
import { expect, test } from 'vitest'

function start() {
  const clock = new ManualClock()
  const metrics = createMetrics()
  const probe = {
    take: () => ({ delayMs: 25, utilization: 0.49 }),
    [Symbol.dispose]: () => {},
  }
  const health = createHealth({ clock, metrics, eventLoop: { probe } })
  const lines = async (part: string) =>
    (await metrics.expose())
      .split('\n')
      .filter((line) => !line.startsWith('#') && line.includes(part))
  return { clock, health, lines }
}

test('the state, the failures and the time of each check are exposed', async () => {
  const { clock, health, lines } = start()
  let isBroken = false
  health.register({
    name: 'db',
    kind: 'readiness',
    everyMs: 1_000,
    async check() {
      await clock.sleep(20)
      return !isBroken
    },
  })
  expect(await lines('check="db"')).toContain(
    'dharma_health_check_up{kind="readiness",check="db"} 0',
  )
  await clock.advance(100)
  expect(await lines('check="db"')).toContain(
    'dharma_health_check_up{kind="readiness",check="db"} 1',
  )
  isBroken = true
  await clock.advance(2_000)
  const exposed = await lines('check="db"')
  expect(exposed).toContain('dharma_health_check_up{kind="readiness",check="db"} 0')
  expect(exposed).toContain('dharma_health_check_failures_total{kind="readiness",check="db"} 2')
  expect(exposed).toContain(
    'dharma_health_check_duration_seconds_count{kind="readiness",check="db"} 3',
  )
})

test('a check that is degraded is up', async () => {
  const { clock, health, lines } = start()
  health.register({ name: 'lag', kind: 'readiness', check: () => degraded('lag 12 s') })
  await clock.advance(0)
  expect(await lines('dharma_health_check_up')).toContain(
    'dharma_health_check_up{kind="readiness",check="lag"} 1',
  )
})

test('a check that was unregistered has a state that no alert matches', async () => {
  const { health, lines } = start()
  health.register({ name: 'gone', kind: 'readiness', check: () => false }).unregister()
  expect(await lines('dharma_health_check_up')).toContain(
    'dharma_health_check_up{kind="readiness",check="gone"} NaN',
  )
})

test('pressure and the event loop are read at scrape', async () => {
  const { clock, lines } = start()
  await clock.advance(1_000)
  expect(await lines('dharma_health_pressure_ratio')).toEqual(['dharma_health_pressure_ratio 0.5'])
  expect(await lines('dharma_event_loop')).toEqual([
    'dharma_event_loop_delay_seconds 0.025',
    'dharma_event_loop_utilization_ratio 0.49',
  ])
})
