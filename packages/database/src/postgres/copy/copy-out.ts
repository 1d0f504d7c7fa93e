import { quoteIdentifier, checkTableName } from '../identifiers.ts'
import type { SqlStatement } from '../sql.ts'
import { columnType, typesOf, type TypeRow } from './column-types.ts'
import type { CopyHost, CopyLine } from './copy-line.ts'
import { CopyOutRun } from './copy-out-run.ts'
import { quoteParameters } from './quote-parameters.ts'
import { createRowDecoder, type OutputColumn } from './row-decoder.ts'
import type { CopyFormat } from './row-encoder.ts'

/** What is read: a table or view by its name in SQL, or a query that only reads, made by `sql`. */
export type CopySource = string | SqlStatement

export interface CopyOutOptions {
  /** Columns read, in this order. @default all, generated ones included */
  readonly columns?: readonly string[] | undefined
  /** Rows as objects by column name, or as arrays in the order of the columns. @default 'object' */
  readonly rows?: 'object' | 'array'
  /** @default binary where every type read has a binary form here, else text */
  readonly format?: CopyFormat | undefined
  /** Called after each chunk, with the rows and bytes received so far. */
  readonly onProgress?: (progress: CopyOutProgress) => void
  /** Longest wait for the server's next bytes. Above 0. @default the manager's `queryTimeoutMs` */
  readonly timeoutMs?: number | undefined
  /** Whether a replica within `maxReplicaLagMs` may serve it. Not in a transaction. @default false */
  readonly replica?: boolean | undefined
  /** Ends the COPY; the loop over the rows throws the signal's reason. */
  readonly signal?: AbortSignal | undefined
}

export interface CopyOutProgress {
  readonly rows: number
  readonly bytes: number
}

interface Opened {
  readonly run: CopyOutRun
  readonly decode: (chunk: Buffer) => unknown[]
}

/**
 * Rows by `COPY … TO STDOUT`, decoded as they are asked for. The session is held from the first row
 * asked for until the loop ends in whatever way.
 */
export class CopyOutRows<Row> implements AsyncGenerator<Row, void, undefined> {
  readonly #host: CopyHost
  readonly #source: CopySource
  readonly #options: CopyOutOptions
  #opened: Promise<Opened> | undefined
  #rows: readonly unknown[] = []
  #next = 0
  #rowsBefore = 0
  #filling: Promise<unknown> = Promise.resolve()
  #isDone = false
  #release: ((isFailed: boolean) => void) | undefined
  #lent: Promise<object> | undefined

  constructor(host: CopyHost, source: CopySource, options: CopyOutOptions) {
    this.#host = host
    this.#source = source
    this.#options = options
  }

  next(): Promise<IteratorResult<Row, void>> {
    if (this.#next < this.#rows.length) {
      return Promise.resolve({ value: this.#rows[this.#next++] as Row, done: false })
    }
    const filled = this.#filling.then(() => this.#fill())
    // A failure is this caller's; whoever asks after him gets the end.
    this.#filling = filled.catch(() => undefined)
    return filled
  }

  async return(): Promise<IteratorResult<Row, void>> {
    await this.#end(false)
    return { value: undefined, done: true }
  }

  async throw(reason: unknown): Promise<IteratorResult<Row, void>> {
    await this.#end(false)
    throw reason
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end(false)
  }

  async #fill(): Promise<IteratorResult<Row, void>> {
    while (this.#next >= this.#rows.length) {
      if (this.#isDone) return { value: undefined, done: true }
      try {
        this.#opened ??= this.#open()
        const { run, decode } = await this.#opened
        const chunk = await run.next()
        if (chunk === undefined) await this.#end(false)
        else {
          this.#rowsBefore += this.#rows.length
          this.#rows = decode(chunk)
          this.#next = 0
          const rows = this.#rowsBefore + this.#rows.length
          this.#options.onProgress?.({ rows, bytes: run.bytes })
        }
      } catch (error) {
        await this.#end(true)
        throw error
      }
    }
    return { value: this.#rows[this.#next++] as Row, done: false }
  }

  /** Resolves when the COPY has begun; the session stays lent until {@link #end}. */
  #open(): Promise<Opened> {
    const opened = Promise.withResolvers<Opened>()
    const released = Promise.withResolvers<boolean>()
    this.#release = released.resolve
    this.#lent = this.#host.lend(async (line) => {
      const columns = await readColumns(line, this.#source, this.#options)
      const decoder = createRowDecoder(columns.columns, this.#options)
      const run = new CopyOutRun(line, `copy ${columns.from} to stdout (format ${decoder.format})`)
      opened.resolve({ run, decode: (chunk) => decoder.decode(chunk) })
      const isFailed = await released.promise
      line.settleAfter(() => run.close({ isFailed }))
      return run
    })
    this.#lent.catch(opened.reject)
    return opened.promise
  }

  async #end(isFailed: boolean): Promise<void> {
    if (this.#isDone) return
    this.#isDone = true
    this.#rows = []
    this.#release?.(isFailed)
    await this.#lent?.catch(() => undefined)
  }
}

/** What stands behind `copy`, and the columns that it gives. */
interface ReadColumns {
  readonly from: string
  readonly columns: readonly OutputColumn[]
}

/** Columns of a relation, and whether COPY reads them from it by name. */
const RELATION = typesOf(`
  select attnum::int as n, attname::text as name, atttypid as declared,
         json_build_object('isDirect', relkind = 'r' and not relhassubclass and attgenerated = '') as extra
  from pg_attribute join pg_class c on c.oid = attrelid
  where attrelid = $1::text::regclass and attnum > 0 and not attisdropped`)

const QUERY = typesOf(`
  select n::int, name, declared, null::json as extra
  from unnest($1::text[], $2::oid[]) with ordinality as fields (name, declared, n)`)

interface NamedType extends TypeRow {
  readonly name: string
  readonly extra: { readonly isDirect: boolean } | null
}

export async function readColumns(
  line: CopyLine,
  source: CopySource,
  { columns }: Pick<CopyOutOptions, 'columns'>,
): Promise<ReadColumns> {
  if (typeof source !== 'string') {
    if (columns !== undefined) throw new TypeError('columns must not be given with a query')
    const text = quoteParameters(source)
    return { from: `(${text}\n)`, columns: await queryColumns(line, text) }
  }
  const table = checkTableName(source)
  const all = await line.query<NamedType>(RELATION, [table])
  const chosen = columns?.map((name) => findColumn(all, table, name)) ?? all
  const list = chosen.map(({ name }) => quoteIdentifier(name)).join(', ')
  const isDirect = chosen.length > 0 && chosen.every(({ extra }) => extra?.isDirect === true)
  return {
    from: isDirect ? `${table} (${list})` : `(select ${list} from ${table})`,
    columns: chosen.map((row) => ({ name: row.name, type: columnType(row) })),
  }
}

function findColumn(all: readonly NamedType[], table: string, name: string): NamedType {
  const found = all.find((one) => one.name === name)
  if (found !== undefined) return found
  const names = all.map((one) => one.name).join(', ')
  throw new RangeError(`columns names ${name}, which ${table} does not have; there are ${names}`)
}

async function queryColumns(line: CopyLine, text: string): Promise<OutputColumn[]> {
  const fields = await line.describe(text)
  const names = fields.map(({ name }) => name)
  const oids = fields.map(({ oid }) => oid)
  const rows = await line.query<NamedType>(QUERY, [names, oids])
  return rows.map((row) => ({ name: row.name, type: columnType(row) }))
}
