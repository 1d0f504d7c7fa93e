/** Entry of a subject's process: `subject-process.ts FILE BENCH SUBJECT`, driven by messages. */
import { parseArgs } from 'node:util'
import type { Bench, BenchContext, Figures, Subject } from './define-bench.ts'

interface Turn {
  readonly budgetMs: number
}

const [file = '', benchName = '', subjectName = ''] = parseArgs({
  allowPositionals: true,
}).positionals

const { benches } = (await import(file)) as { benches: readonly Bench[] }
const bench = benches.find(({ name }) => name === benchName)
const factory = bench?.subjects[subjectName]
if (factory === undefined)
  throw new RangeError(`${file} has no subject ${benchName}/${subjectName}`)

const context = JSON.parse(process.env['DHARMA_BENCH_CONTEXT'] ?? '') as BenchContext
const subject = await factory(context)
let perTurn = 1

process.on('message', (message: Turn | 'close') => {
  if (message === 'close') void close()
  else void takeTurn(message)
})
process.send?.({ ready: true })

async function takeTurn({ budgetMs }: Turn): Promise<void> {
  try {
    const figures = await measure(subject, budgetMs)
    process.send?.({ figures })
  } catch (error) {
    process.send?.({
      error: error instanceof Error ? (error.stack ?? error.message) : String(error),
    })
  }
}

async function measure(running: Subject, budgetMs: number): Promise<Figures> {
  if (running.measure !== undefined) return running.measure(budgetMs)
  if (running.iterate === undefined)
    throw new TypeError(`${subjectName} has neither iterate nor measure`)
  const cpuBefore = process.cpuUsage()
  const startedMs = performance.now()
  let done = 0
  let elapsedMs = 0
  while (elapsedMs < budgetMs) {
    const chunkStartedMs = performance.now()
    await running.iterate(perTurn)
    done += perTurn
    const nowMs = performance.now()
    elapsedMs = nowMs - startedMs
    // Chunks of 20 ms and more: the two clock reads around one are then below 0.001 % of it.
    if (nowMs - chunkStartedMs < 20) perTurn *= 2
  }
  const cpu = process.cpuUsage(cpuBefore)
  return {
    nsPerOp: (elapsedMs * 1e6) / done,
    opsPerSec: (done * 1000) / elapsedMs,
    cpuMicrosPerOp: (cpu.user + cpu.system) / done,
  }
}

async function close(): Promise<void> {
  await subject.close?.()
  process.disconnect()
}
