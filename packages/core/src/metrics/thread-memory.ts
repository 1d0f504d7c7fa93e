import type { MetricDefinition } from './metric-definition.ts'

/** What a thread tells the other about its memory: a metric, or where the cells of a series are. */
export type ThreadRecord =
  | { readonly metric: MetricDefinition }
  | {
      readonly series: string
      readonly labelValues: readonly string[]
      /** Index of the first cell, and how many. */
      readonly at: number
      readonly cells: number
    }

/*
 * A range of shared memory for the metrics of one thread, which needs no messages and outlives it:
 *
 *   int32 layout version, int32 committed bytes of the directory · directory · cells
 *
 * The directory is lines of JSON, appended only. A line is written before the committed length, by
 * `Atomics`, says so: what the reader sees is whole. Cells are float64 numbers.
 */
const VERSION = 1
const HEADER_BYTES = 8
const DIRECTORY_SHARE = 8
const VERSION_AT = 0
const COMMITTED_AT = 1

/** Memory for the metrics of one thread. */
export function createThreadMemory(sizeBytes: number): SharedArrayBuffer {
  const memory = new SharedArrayBuffer(sizeBytes)
  new Int32Array(memory, 0, 2)[VERSION_AT] = VERSION
  return memory
}

/** The thread's side: it alone writes. */
export class ThreadMemoryWriter {
  readonly #header: Int32Array
  readonly #directory: Uint8Array
  readonly #cells: Float64Array
  readonly #encoder = new TextEncoder()
  /** For each metric its series for the rest, for which room is kept. */
  readonly #kept = new Map<string, { readonly line: Uint8Array; readonly cells: Float64Array }>()
  #usedCells = 0
  #keptBytes = 0

  /** @throws TypeError when the memory is not from {@link createThreadMemory}. */
  constructor(memory: SharedArrayBuffer) {
    this.#header = headerOf(memory)
    if (this.#header[COMMITTED_AT] !== 0) throw new TypeError('the memory has a thread already')
    this.#directory = directoryOf(memory)
    this.#cells = cellsOf(memory)
  }

  /**
   * Tells of a metric, and keeps room for one series of it.
   * @throws RangeError when there is none.
   */
  define(metric: MetricDefinition, cellsPerSeries: number): void {
    const { name, labels } = metric
    const line = this.#encode({ metric })
    const rest = this.#seriesLine(
      name,
      labels.map(() => 'other'),
      cellsPerSeries,
    )
    if (!this.#hasRoom(line.length + rest.length, cellsPerSeries)) {
      throw new RangeError(`metric ${name} has no room in its thread's memory: raise sizeBytes`)
    }
    this.#append(line)
    this.#keptBytes += rest.length
    this.#kept.set(name, { line: rest, cells: this.#take(cellsPerSeries) })
  }

  /** Cells for a new series, all zero; `undefined` when there is no room. */
  series(name: string, labelValues: readonly string[], cells: number): Float64Array | undefined {
    if (labelValues.every((value) => value === 'other')) return this.#takeKept(name)
    const line = this.#seriesLine(name, labelValues, cells)
    if (!this.#hasRoom(line.length, cells)) return undefined
    const taken = this.#take(cells)
    this.#append(line)
    return taken
  }

  #takeKept(name: string): Float64Array | undefined {
    const kept = this.#kept.get(name)
    if (kept === undefined) return undefined
    this.#kept.delete(name)
    this.#keptBytes -= kept.line.length
    this.#append(kept.line)
    return kept.cells
  }

  #hasRoom(bytes: number, cells: number): boolean {
    const used = (this.#header[COMMITTED_AT] as number) + this.#keptBytes
    return used + bytes <= this.#directory.length && this.#usedCells + cells <= this.#cells.length
  }

  #take(cells: number): Float64Array {
    const taken = this.#cells.subarray(this.#usedCells, this.#usedCells + cells)
    this.#usedCells += cells
    return taken
  }

  #append(line: Uint8Array): void {
    const committed = this.#header[COMMITTED_AT] as number
    this.#directory.set(line, committed)
    Atomics.store(this.#header, COMMITTED_AT, committed + line.length)
  }

  #seriesLine(series: string, labelValues: readonly string[], cells: number): Uint8Array {
    return this.#encode({ series, labelValues, at: this.#usedCells, cells })
  }

  #encode(record: ThreadRecord): Uint8Array {
    return this.#encoder.encode(`${JSON.stringify(record)}\n`)
  }
}

/** The other side: it reads what was committed since its last look. */
export class ThreadMemoryReader {
  readonly #header: Int32Array
  readonly #directory: Uint8Array
  readonly #cells: Float64Array
  readonly #decoder = new TextDecoder()
  #readBytes = 0

  constructor(memory: SharedArrayBuffer) {
    this.#header = headerOf(memory)
    this.#directory = directoryOf(memory)
    this.#cells = cellsOf(memory)
  }

  /** Records that are new since the last call. */
  read(): ThreadRecord[] {
    const committed = Atomics.load(this.#header, COMMITTED_AT)
    if (committed === this.#readBytes) return []
    // `slice` copies out of shared memory, which a decoder does not take.
    const text = this.#decoder.decode(this.#directory.slice(this.#readBytes, committed))
    this.#readBytes = committed
    return text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as ThreadRecord)
  }

  cells(at: number, count: number): Float64Array {
    return this.#cells.subarray(at, at + count)
  }
}

function headerOf(memory: SharedArrayBuffer): Int32Array {
  const header = new Int32Array(memory, 0, 2)
  if (header[VERSION_AT] !== VERSION) {
    throw new TypeError(`thread metrics have layout ${header[VERSION_AT]}, ${VERSION} is known`)
  }
  return header
}

function directoryOf(memory: SharedArrayBuffer): Uint8Array {
  return new Uint8Array(memory, HEADER_BYTES, firstCellOf(memory) - HEADER_BYTES)
}

function cellsOf(memory: SharedArrayBuffer): Float64Array {
  return new Float64Array(memory, firstCellOf(memory))
}

function firstCellOf(memory: SharedArrayBuffer): number {
  return Math.floor(memory.byteLength / DIRECTORY_SHARE / 8) * 8
}
