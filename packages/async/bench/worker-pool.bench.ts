/** What a task costs beside its work: two workers everywhere, the same functions. */
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { createWorkerPool, type WorkerPool } from '@dharma/async/worker-pool'
import { defineBench, type Bench, type Subject } from '@dharma/testkit/bench'
import { Piscina } from 'piscina'
import { FixedClusterPool, FixedThreadPool } from 'poolifier'
import { Tinypool } from 'tinypool'
import workerpool from 'workerpool'
import type * as tasks from './worker-pool/tasks.ts'

const WORKERS = 2
const IN_FLIGHT = 16
const BURST = 5000
const BUSY_MS = 4.4
const MEGABYTE = 2 ** 20

const fileOf = (name: string): string =>
  fileURLToPath(new URL(`worker-pool/${name}.ts`, import.meta.url))

type Pair = readonly [number, number]

/** A pool as the benches drive it. */
interface Candidate {
  add(pair: Pair): PromiseLike<unknown>
  close(): unknown
}

function openOurs(kind: 'thread' | 'process'): WorkerPool<typeof tasks> {
  const module = new URL('worker-pool/tasks.ts', import.meta.url)
  return createWorkerPool<typeof tasks>(module, { kind, min: WORKERS, max: WORKERS })
}

function ours(kind: 'thread' | 'process'): Candidate {
  const pool = openOurs(kind)
  return { add: (pair) => pool.run('addPair', [pair]), close: () => pool.close() }
}

function openPiscina(): Piscina {
  return new Piscina({
    filename: fileOf('tasks'),
    minThreads: WORKERS,
    maxThreads: WORKERS,
  })
}

function piscina(): Candidate {
  const pool = openPiscina()
  const options = { name: 'addPair' }
  return { add: (pair) => pool.run(pair, options), close: () => pool.destroy() }
}

function tinypool(runtime: 'worker_threads' | 'child_process'): Candidate {
  const pool = new Tinypool({
    filename: fileOf('default-task'),
    runtime,
    minThreads: WORKERS,
    maxThreads: WORKERS,
  })
  return { add: (pair) => pool.run(pair), close: () => pool.destroy() }
}

function poolifier(kind: 'thread' | 'process'): Candidate {
  const pool =
    kind === 'thread'
      ? new FixedThreadPool<Pair, number>(WORKERS, fileOf('poolifier-thread'))
      : new FixedClusterPool<Pair, number>(WORKERS, fileOf('poolifier-cluster'))
  return { add: (pair) => pool.execute(pair), close: () => pool.destroy() }
}

function workerPool(workerType: 'thread' | 'process'): Candidate {
  const pool = workerpool.pool(fileOf('workerpool-worker'), {
    workerType,
    minWorkers: WORKERS,
    maxWorkers: WORKERS,
  })
  return { add: (pair) => pool.exec('addPair', [pair]), close: () => pool.terminate(true) }
}

/** Threads in turn, one message a task: the limit of what does not put tasks together. */
class RawThreads implements Candidate {
  readonly #threads = Array.from({ length: WORKERS }, () => new Worker(fileOf('raw-thread')))
  readonly #waiting = new Map<number, (value: unknown) => void>()
  #last = 0

  constructor() {
    for (const thread of this.#threads) {
      thread.on('message', ([id, value]: [number, unknown]) => {
        this.#waiting.get(id)?.(value)
        this.#waiting.delete(id)
      })
    }
  }

  run(name: string, argument: unknown): Promise<unknown> {
    return new Promise((resolve) => {
      const id = ++this.#last
      this.#waiting.set(id, resolve)
      this.#threads[id % WORKERS]?.postMessage([id, name, argument])
    })
  }

  add(pair: Pair): Promise<unknown> {
    return this.run('addPair', pair)
  }

  async close(): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.terminate()))
  }
}

/** Keeps so many in flight until all are done. */
async function keep(
  inFlight: number,
  count: number,
  one: () => PromiseLike<unknown>,
): Promise<void> {
  let left = count
  const loop = async (): Promise<void> => {
    while (left-- > 0) await one()
  }
  await Promise.all(Array.from({ length: inFlight }, loop))
}

function tiny(create: () => Candidate): () => Promise<Subject> {
  return async () => {
    const pool = create()
    await keep(IN_FLIGHT, 2000, () => pool.add([1, 2]))
    return {
      iterate: (count) => keep(IN_FLIGHT, count, () => pool.add([1, 2])),
      close: async () => void (await pool.close()),
    }
  }
}

function burst(create: () => Candidate): () => Promise<Subject> {
  return async () => {
    const pool = create()
    const iterate = async (count: number): Promise<void> => {
      for (let left = count; left > 0; left -= BURST) {
        const tasksOfBurst = Array.from({ length: Math.min(left, BURST) }, () => pool.add([1, 2]))
        await Promise.all(tasksOfBurst)
      }
    }
    await iterate(2000)
    return { iterate, close: async () => void (await pool.close()) }
  }
}

function roundTrip(create: () => Candidate): () => Promise<Subject> {
  return async () => {
    const pool = create()
    await keep(1, 500, () => pool.add([1, 2]))
    return {
      async measure(budgetMs) {
        const timesMs: number[] = []
        const untilMs = performance.now() + budgetMs
        while (performance.now() < untilMs) {
          const startMs = performance.now()
          await pool.add([1, 2])
          timesMs.push(performance.now() - startMs)
        }
        timesMs.sort((a, b) => a - b)
        const at = (share: number): number => timesMs[Math.floor(timesMs.length * share)] ?? 0
        return { nsPerOp: at(0.5) * 1e6, p99Micros: at(0.99) * 1e3 }
      },
      close: async () => void (await pool.close()),
    }
  }
}

async function busyOurs(): Promise<Subject> {
  const pool = openOurs('thread')
  await keep(WORKERS, 20, () => pool.run('spin', [BUSY_MS]))
  return {
    iterate: (count) => keep(IN_FLIGHT, count, () => pool.run('spin', [BUSY_MS])),
    close: () => pool.close(),
  }
}

async function busyRaw(): Promise<Subject> {
  const threads = new RawThreads()
  await keep(WORKERS, 20, () => threads.run('spin', BUSY_MS))
  return {
    iterate: (count) => keep(IN_FLIGHT, count, () => threads.run('spin', BUSY_MS)),
    close: () => threads.close(),
  }
}

async function moveOurs(): Promise<Subject> {
  const pool = openOurs('thread')
  let bytes = new Uint8Array(MEGABYTE)
  const move = async (): Promise<void> => {
    bytes = await pool.run('passOn', [bytes], { transfer: [bytes.buffer] })
  }
  await keep(1, 50, move)
  return { iterate: (count) => keep(1, count, move), close: () => pool.close() }
}

async function movePiscina(): Promise<Subject> {
  const pool = openPiscina()
  let bytes = new Uint8Array(MEGABYTE)
  const move = async (): Promise<void> => {
    const options = { name: 'passOnForPiscina', transferList: [bytes.buffer] }
    bytes = (await pool.run(bytes, options)) as Uint8Array<ArrayBuffer>
  }
  await keep(1, 50, move)
  return { iterate: (count) => keep(1, count, move), close: () => pool.destroy() }
}

type Drive = (create: () => Candidate) => () => Promise<Subject>

const threads = (drive: Drive): Bench['subjects'] => ({
  ours: drive(() => ours('thread')),
  piscina: drive(piscina),
  tinypool: drive(() => tinypool('worker_threads')),
  poolifier: drive(() => poolifier('thread')),
  workerpool: drive(() => workerPool('thread')),
  'raw threads': drive(() => new RawThreads()),
})

export const benches: readonly Bench[] = [
  defineBench({
    name: 'async.threads-tiny',
    title: `a tiny task in a thread, ${IN_FLIGHT} in flight`,
    subjects: threads(tiny),
    bars: [{ subject: 'ours', over: 'piscina', figure: 'opsPerSec', atLeast: 3 }],
  }),
  defineBench({
    name: 'async.threads-burst',
    title: `a tiny task in a thread, ${BURST} at once`,
    subjects: threads(burst),
    bars: [{ subject: 'ours', over: 'piscina', figure: 'opsPerSec', atLeast: 5 }],
  }),
  defineBench({
    name: 'async.threads-round-trip',
    title: 'a tiny task in a thread, one at a time (median)',
    subjects: threads(roundTrip),
    bars: [{ subject: 'ours', over: 'piscina', atMost: 1.1 }],
  }),
  defineBench({
    name: 'async.threads-busy',
    title: `a task of ${BUSY_MS} ms in a thread, ${IN_FLIGHT} in flight`,
    subjects: { ours: busyOurs, 'raw threads': busyRaw },
    bars: [{ subject: 'ours', over: 'raw threads', figure: 'opsPerSec', atLeast: 0.97 }],
  }),
  defineBench({
    name: 'async.threads-move',
    title: '1 MB moved to a thread and back',
    subjects: { ours: moveOurs, piscina: movePiscina },
    bars: [{ subject: 'ours', over: 'piscina', figure: 'opsPerSec', atLeast: 0.95 }],
  }),
  defineBench({
    name: 'async.processes-tiny',
    title: `a tiny task in a process, ${IN_FLIGHT} in flight`,
    subjects: {
      ours: tiny(() => ours('process')),
      tinypool: tiny(() => tinypool('child_process')),
      poolifier: tiny(() => poolifier('process')),
      workerpool: tiny(() => workerPool('process')),
    },
    bars: [
      { subject: 'ours', over: 'workerpool', figure: 'opsPerSec', atLeast: 2 },
      { subject: 'ours', over: 'tinypool', figure: 'opsPerSec', atLeast: 3 },
    ],
  }),
]
