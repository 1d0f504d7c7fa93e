import { defineBench, type Bench, type Figures, type Subject } from '@dharma/testkit/bench'
import {
  hitRatio,
  REPLACEMENTS,
  type Replacement,
} from '../test/memory/replacement/replacement-policies.ts'
import { ROOMS, trace, TRACES, zipf, zipfWithScans } from '../test/memory/replacement/workloads.ts'

interface Workload {
  readonly name: string
  readonly keys: Iterable<number>
  readonly room: number
}

async function* workloads(isShort: boolean): AsyncGenerator<Workload> {
  const reads = isShort ? 3_000 : 300_000
  const keys = zipf(reads, 50_000, 0.99)
  yield { name: 'zipf 1 %', keys, room: 500 }
  yield { name: 'zipf 10 %', keys, room: 5_000 }
  yield { name: 'shifting 5 %', keys: zipf(reads, 50_000, 0.99, 20_000), room: 2_500 }
  yield { name: 'scans 1 %', keys: zipfWithScans(reads, 50_000, 0.3), room: 500 }
  for (const name of isShort ? [] : TRACES) {
    const read = await trace(name)
    for (const share of ROOMS) {
      const room = Math.max(1, Math.round(read.distinct * share))
      yield { name: `${name} ${share * 100} %`, keys: read.keys, room }
    }
  }
}

/** The ratios do not change from turn to turn, so they are computed once. */
function ratios(make: (room: number) => Replacement, isShort: boolean): Subject {
  let computed: Promise<Figures> | undefined
  const compute = async (): Promise<Figures> => {
    const figures: Figures = {}
    for await (const { name, keys, room } of workloads(isShort)) {
      figures[name] = 100 * hitRatio(make(room), keys)
    }
    return figures
  }
  return { measure: () => (computed ??= compute()) }
}

export const benches: readonly Bench[] = [
  defineBench({
    name: 'cache.hit-ratio',
    title: 'Hits of 100 reads, with room for so many of the keys',
    rounds: 1,
    subjects: Object.fromEntries(
      Object.entries(REPLACEMENTS).map(([name, make]) => [
        name,
        ({ once }: { readonly once: boolean }) => ratios(make, once),
      ]),
    ),
    bars: [
      { subject: 'dharma', over: 'LRU', figure: 'zipf 1 %', atLeast: 1.174 },
      { subject: 'dharma', over: 'LRU', figure: 'shifting 5 %', atLeast: 0.984 },
    ],
  }),
]
