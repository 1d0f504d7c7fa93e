import { randomBytes } from 'node:crypto'
import type { AdvisorSession } from '../advisor-session.ts'
import type { AnalyzedEntry } from '../candidates/constants.ts'
import { definitionOf, indexNameOf, signatureOf, type IndexForm } from '../candidates/index-form.ts'
import type { TableFacts } from '../catalog/catalog.ts'
import { parseStatement } from '../../sql/index.ts'
import { quoteIdentifier } from '../../postgres/identifiers.ts'
import type { Costed, CostModel } from './cost-model.ts'
import { explainCost, isRefusal, timeOf, type ExplainedCost } from './explain-cost.ts'
import { withTables } from './redirected-text.ts'

/** Longest run of a statement on a copy. */
const RUN_TIMEOUT_MS = 2_000

interface Explained extends ExplainedCost {
  /** `undefined` where it was not run, or not to its end. */
  readonly ms: number | undefined
}

/** A copy of a table in the advisor's own schema. */
interface Copy {
  /** As SQL writes it. */
  readonly name: string
  readonly fraction: number
  readonly built: Map<string, { readonly name: string; readonly sizeBytes: number } | undefined>
}

/**
 * Costs and times by indexes that are really built, on copies of at most `maxRows` rows of each table, in an
 * unlogged schema of its own that {@link close} drops.
 */
export class SampledCopyModel implements CostModel {
  readonly verification = 'sampled-copy'
  readonly #session: AdvisorSession
  readonly #maxRows: number
  readonly #schema = `dharma_advisor_${randomBytes(6).toString('hex')}`
  readonly #copies = new Map<string, Promise<Copy | undefined>>()
  readonly #costs = new Map<string, Promise<Costed | undefined>>()
  readonly #supports: (form: IndexForm) => boolean
  readonly #real = new Map<string, ExplainedCost>()
  readonly #before = new Map<string, Explained>()
  readonly #sizes = new Map<string, number>()
  #hasSchema = false

  constructor(
    session: AdvisorSession,
    { maxRows, supports }: { maxRows: number; supports: (form: IndexForm) => boolean },
  ) {
    this.#session = session
    this.#maxRows = maxRows
    this.#supports = supports
  }

  supports(form: IndexForm): boolean {
    return this.#supports(form)
  }

  cost(analyzed: AnalyzedEntry, forms: readonly IndexForm[]): Promise<Costed | undefined> {
    const tables = new Set(analyzed.shape.uses.map(({ table }) => table.oid))
    const wanted = forms
      .filter((form) => tables.has(form.table.oid))
      .toSorted((a, b) => signatureOf(a).localeCompare(signatureOf(b)))
    const key = JSON.stringify([analyzed.entry.text, ...wanted.map(signatureOf)])
    const known = this.#costs.get(key)
    if (known !== undefined) return known
    const cost = this.#scaledCost(analyzed, wanted)
    this.#costs.set(key, cost)
    return cost
  }

  sizeOf(form: IndexForm): number | undefined {
    return this.#sizes.get(signatureOf(form))
  }

  /** Drops the copies. */
  async close(): Promise<void> {
    if (!this.#hasSchema) return
    await this.#session.query(`drop schema if exists ${this.#schema} cascade`)
    await this.#session.query('select pg_advisory_unlock(hashtext($1))', [this.#schema])
    this.#hasSchema = false
  }

  /** Drops the copies of advisors that have crashed: those whose lock nobody holds. */
  async sweep(): Promise<void> {
    const { rows } = await this.#session.query<{ readonly name: string }>(
      `select nspname as name from pg_namespace
       where nspname ~ '^dharma_advisor_[0-9a-f]{12}$' and pg_has_role(nspowner, 'usage')`,
    )
    for (const { name } of rows) {
      const { rows: locks } = await this.#session.query<{ readonly isFree: boolean }>(
        'select pg_try_advisory_lock(hashtext($1)) as "isFree"',
        [name],
      )
      if (locks[0]?.isFree !== true) continue
      await this.#session.query(`drop schema if exists ${name} cascade`)
      await this.#session.query('select pg_advisory_unlock(hashtext($1))', [name])
    }
  }

  /** What the indexes change on the copies, applied to the cost on the tables themselves. */
  async #scaledCost(
    analyzed: AnalyzedEntry,
    forms: readonly IndexForm[],
  ): Promise<Costed | undefined> {
    const { text: original } = analyzed.entry
    const real = this.#real.get(original) ?? (await explainCost(this.#session, analyzed))
    if (real === undefined) return undefined
    this.#real.set(original, real)
    if (forms.length === 0) return { cost: real.cost, used: new Set() }
    const copies = new Map<string, Copy>()
    for (const { table } of forms) {
      const copy = await this.#copyOf(table)
      if (copy !== undefined) copies.set(table.oid, copy)
    }
    const text = withTables(analyzed, (table) => copies.get(table.oid)?.name)
    const names = new Map<string, string>()
    for (const form of forms) {
      const copy = copies.get(form.table.oid)
      const index = copy === undefined ? undefined : await this.#build(copy, form)
      if (index !== undefined) names.set(index.name, signatureOf(form))
    }
    const baseKey = JSON.stringify([text, [...copies.keys()]])
    const before =
      this.#before.get(baseKey) ?? (await this.#explainWith(analyzed, text, copies, new Map()))
    if (before === undefined) return undefined
    this.#before.set(baseKey, before)
    const after = await this.#explainWith(analyzed, text, copies, names)
    if (after === undefined) return undefined
    const used = new Set<string>()
    for (const name of after.indexes) {
      const signature = names.get(name)
      if (signature !== undefined) used.add(signature)
    }
    const areTimed = before.ms !== undefined && after.ms !== undefined && before.ms > 0
    const fraction = Math.min(...[...copies.values()].map((copy) => copy.fraction))
    const timeRatio = areTimed
      ? ratioOf(before.ms ?? 1, after.ms ?? 0, fraction, analyzed.entry.meanMs)
      : undefined
    // The planner is far off with GIN; where there are times, the cost is calibrated by them.
    const ratio = timeRatio ?? after.cost / Math.max(before.cost, Number.MIN_VALUE)
    return { cost: real.cost * Math.min(1, ratio), used, timeRatio }
  }

  /** Explains with some of the indexes built: the others are dropped in a transaction that is undone. */
  async #explainWith(
    analyzed: AnalyzedEntry,
    text: string,
    copies: ReadonlyMap<string, Copy>,
    names: ReadonlyMap<string, string>,
  ): Promise<Explained | undefined> {
    await this.#session.query('begin')
    try {
      for (const { built } of copies.values()) {
        for (const index of built.values()) {
          if (index === undefined || names.has(index.name)) continue
          await this.#session.query(`drop index ${this.#schema}.${index.name}`)
        }
      }
      const explained = await explainCost(this.#session, analyzed, text)
      if (explained === undefined) return undefined
      return { ...explained, ms: await this.#time(analyzed, text) }
    } finally {
      await this.#session.query('rollback')
    }
  }

  /** Runs a statement that only reads, on copies, and is undone even so. */
  async #time(analyzed: AnalyzedEntry, text: string): Promise<number | undefined> {
    if (!(await parseStatement(text)).isReadOnly) return undefined
    await this.#session.query('set transaction read only')
    await this.#session.query(`set local statement_timeout = ${RUN_TIMEOUT_MS}`)
    return timeOf(this.#session, analyzed, text)
  }

  /** Its lock says that the schema is in use, until the session ends, however it ends. */
  async #createSchema(): Promise<void> {
    await this.#session.query('select pg_advisory_lock(hashtext($1))', [this.#schema])
    await this.#session.query(`create schema ${this.#schema}`)
    this.#hasSchema = true
  }

  #copyOf(table: TableFacts): Promise<Copy | undefined> {
    const known = this.#copies.get(table.oid)
    if (known !== undefined) return known
    const copy = this.#copy(table)
    this.#copies.set(table.oid, copy)
    return copy
  }

  async #copy(table: TableFacts): Promise<Copy | undefined> {
    const name = `${this.#schema}.${quoteIdentifier(`t${table.oid}`)}`
    const fraction = Math.min(1, this.#maxRows / Math.max(1, table.rows))
    const sample = fraction < 1 ? `tablesample bernoulli (${fraction * 100}) repeatable (1)` : ''
    try {
      if (!this.#hasSchema) await this.#createSchema()
      await this.#session.query(
        `create unlogged table ${name} (like ${table.quoted} including indexes)`,
      )
      await this.#session.query(`insert into ${name} select * from ${table.quoted} ${sample}`)
      await this.#session.query(`vacuum analyze ${name}`)
    } catch (error) {
      if (!isRefusal(error)) throw error
      return undefined
    }
    return { name, fraction, built: new Map() }
  }

  async #build(
    { name: table, fraction, built }: Copy,
    form: IndexForm,
  ): Promise<{ readonly name: string } | undefined> {
    const signature = signatureOf(form)
    if (built.has(signature)) return built.get(signature)
    const name = indexNameOf(form)
    try {
      await this.#session.query(definitionOf(form, { table, name }))
      const hasExpression = form.keys.some(({ isExpression }) => isExpression)
      if (hasExpression) await this.#session.query(`analyze ${table}`)
      const { rows } = await this.#session.query<{ readonly bytes: number }>(
        'select pg_relation_size($1::regclass)::float8 as bytes',
        [`${this.#schema}.${name}`],
      )
      const sizeBytes = (rows[0]?.bytes ?? 0) / fraction
      this.#sizes.set(signature, sizeBytes)
      built.set(signature, { name, sizeBytes })
    } catch (error) {
      if (!isRefusal(error)) throw error
      built.set(signature, undefined)
    }
    return built.get(signature)
  }
}

/**
 * The slower of two views of the time with the indexes: as a part of the time on the copy without them, and,
 * for as many rows as the table has, of the measured mean. A busy server lengthens long runs more than short
 * ones, so that the first alone would flatter the indexes.
 */
function ratioOf(beforeMs: number, afterMs: number, fraction: number, meanMs = Infinity): number {
  return Math.max(afterMs / beforeMs, afterMs / fraction / meanMs)
}
