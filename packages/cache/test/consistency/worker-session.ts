import { Announcer } from './announcer.ts'
import type { OpenCache } from './cache-under-test.ts'
import { Judge } from './judge.ts'
import { createKeyspace } from './keyspace.ts'
import type { Command, FromWorker, ToWorker, WorkerConfig } from './messages.ts'
import { Random } from './random.ts'
import { Readers } from './readers.ts'
import { SourceOfTruth } from './source-of-truth.ts'
import { Writers } from './writers.ts'

/** Opens the cache in this process and does what the parent says. */
export async function startSession(config: WorkerConfig): Promise<void> {
  const { index, limits } = config
  const { open } = (await import(config.adapter)) as { readonly open: OpenCache }
  const cache = await open(config.open)
  const source = new SourceOfTruth(config.sourceUrl)
  const judge = new Judge({
    worker: index,
    limits,
    cache,
    onViolation: (violation) => send({ kind: 'violation', violation }),
  })
  process.on('unhandledRejection', (error) => {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
    judge.violated(6, '', 'unhandled rejection', `a rejection that nobody handled: ${text}`)
  })
  const announcer = new Announcer({
    worker: index,
    cache,
    judge,
    limits,
    tellOthers: (floors) => send({ kind: 'floors', floors }),
  })
  const workshop = (stream: number) => ({
    cache,
    source,
    judge,
    keyspace: createKeyspace(config.workers),
    // A stream of numbers for each loop, so that none depends on how the others are scheduled.
    random: new Random(config.seed * 1_000 + index * 100 + stream),
    options: config.workload,
  })
  const stopping = new AbortController()
  let loops: Promise<void>[] = []

  const obey = async (command: Command): Promise<void> => {
    switch (command) {
      case 'run': {
        const { signal } = stopping
        const writers = workshop(0)
        const racers = new Readers(writers)
        loops = [new Writers(writers, announcer, racers, index).run(signal)]
        for (let reader = 1; reader <= config.workload.readers; reader++) {
          loops.push(new Readers(workshop(reader)).run(signal))
        }
        break
      }
      case 'stop': {
        stopping.abort()
        await Promise.all(loops)
        await announcer.settled()
        break
      }
      case 'check': {
        await new Readers(workshop(99)).check()
        break
      }
      case 'close': {
        await cache.close()
        await source[Symbol.asyncDispose]()
        judge.stop()
      }
    }
    send({ kind: 'finished', command, counts: judge.counts })
    if (command === 'close') process.disconnect()
  }

  process.on('message', (message: ToWorker) => {
    switch (message.kind) {
      case 'command': {
        obey(message.command).catch(reportBroken)
        return
      }
      case 'floors': {
        for (const floor of message.floors) judge.floors.add(floor)
        return
      }
      case 'history': {
        send({ kind: 'history', key: message.key, events: judge.history.of(message.key) })
      }
    }
  })
  send({ kind: 'ready' })
}

/** Tells the parent that the checker itself, not the cache, has failed. */
export function reportBroken(error: unknown): void {
  const reason = error instanceof Error ? (error.stack ?? error.message) : String(error)
  send({ kind: 'broken', reason })
}

function send(message: FromWorker): void {
  if (process.connected) process.send?.(message)
}
