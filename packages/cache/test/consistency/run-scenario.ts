import { setTimeout as pause } from 'node:timers/promises'
import { uniqueName } from '@dharma/testkit'
import type { FaultScene } from './faults.ts'
import type { HistoryEvent } from './history.ts'
import { machineMs } from './machine-time.ts'
import type { Counts, Limits, Violation, WorkloadOptions } from './messages.ts'
import { Random } from './random.ts'
import { Report } from './report.ts'
import type { Scenario } from './scenarios.ts'
import { startSite } from './site.ts'
import { WorkerProcess } from './worker-process.ts'

/** How a scenario is run. */
export interface RunOptions {
  /** URL of the module that exports `open`. */
  readonly adapter: string
  readonly variant?: string
  readonly seed: number
  readonly durationMs: number
  readonly maxStalenessMs?: number
  /** False: go on after a violation, to see which kinds there are. @default true */
  readonly stopsAtFirst?: boolean
  /** Without the check that all is right in the end. @default false */
  readonly skipsRest?: boolean
  readonly workload?: Partial<WorkloadOptions>
}

const TIMEOUT_MS = 250
const LEASE_MS = 1_000
const SLACK_MS = 50
/** For schedulers of a machine that has other things to do. */
const WAIT_SLACK_MS = 400
const WORKLOAD: WorkloadOptions = {
  readers: 4,
  writeEveryMs: 40,
  loaderMs: 25,
  refusalRatio: 0.01,
  raceRatio: 0.3,
}

/** Lets several processes use a cache while faults happen, and says what broke the promise. */
export async function runScenario(scenario: Scenario, options: RunOptions): Promise<Report> {
  const { seed, durationMs, maxStalenessMs = 1_000, stopsAtFirst = true } = options
  const random = new Random(seed)
  const limits = limitsOf(scenario, maxStalenessMs)
  const namespace = uniqueName('checker')
  const violations: Violation[] = []
  const faults: HistoryEvent[] = []
  const ending = new AbortController()
  await using stack = new AsyncDisposableStack()
  const site = stack.use(await startSite(scenario.topology, scenario.skewsMs.length))
  const workers: WorkerProcess[] = scenario.skewsMs.map((skewMs, index) => {
    const worker = new WorkerProcess({
      config: {
        index,
        workers: scenario.skewsMs.length,
        seed,
        skewMs,
        sourceUrl: site.source.url,
        adapter: options.adapter,
        open: {
          target: site.target(index),
          namespace,
          maxStalenessMs,
          timeoutMs: TIMEOUT_MS,
          leaseMs: LEASE_MS,
          durability: scenario.durability,
          variant: options.variant ?? '',
        },
        limits,
        workload: { ...WORKLOAD, ...options.workload },
      },
      onFloors: (floors) => {
        for (const other of workers) if (other !== worker) other.tell(floors)
      },
      onViolation: (violation) => {
        if (violations.length < 200) violations.push(violation)
        if (stopsAtFirst) ending.abort()
      },
    })
    stack.defer(() => worker.close())
    return worker
  })
  await Promise.all(workers.map(({ ready }) => ready))
  const startMs = machineMs()
  const note = (what: string): void => void faults.push({ atMs: machineMs(), worker: -1, what })
  const all = (command: 'run' | 'stop' | 'check'): Promise<Counts[]> =>
    Promise.all(workers.map((worker) => worker.command(command)))

  await all('run')
  const timer = setTimeout(() => ending.abort(), durationMs)
  const scene = { site, workers, random, namespace, note }
  await breakThings(scenario, scene, ending.signal).finally(() => clearTimeout(timer))
  let counts = await all('stop')
  if (options.skipsRest !== true && (violations.length === 0 || !stopsAtFirst)) {
    await pause(limits.maxStalenessMs + limits.slackMs)
    counts = await all('check')
  }
  const first = violations[0]
  const histories =
    first === undefined ? [] : await Promise.all(workers.map((each) => each.history(first.key)))
  const history = [...histories.flat(), ...faults].toSorted((a, b) => a.atMs - b.atMs)
  return new Report({ scenario, seed, startMs, violations, faults, counts, history })
}

async function breakThings(
  { faults, faultEveryMs }: Scenario,
  scene: FaultScene,
  signal: AbortSignal,
): Promise<void> {
  const ended = new Promise<void>((resolve) => {
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
  while (!signal.aborted && faults.length > 0) {
    const pauseMs = scene.random.integer(1, 2 * faultEveryMs)
    await Promise.race([pause(pauseMs, undefined, { ref: false }), ended])
    if (!signal.aborted) await scene.random.pick(faults)(scene)
  }
  await ended
}

function limitsOf({ isStrict, durability }: Scenario, maxStalenessMs: number): Limits {
  const deadlines = isStrict ? 1 : durability === 'replicated' ? 8 : 5
  const leases = isStrict ? 0 : 2
  return {
    maxStalenessMs,
    slackMs: SLACK_MS,
    maxWaitMs: deadlines * TIMEOUT_MS + leases * LEASE_MS + WAIT_SLACK_MS,
  }
}
