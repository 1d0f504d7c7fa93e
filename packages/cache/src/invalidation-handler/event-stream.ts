import { randomUUID } from 'node:crypto'
import type { RedisRunner } from '../redis/redis-runner.ts'
import { EVENT_SCRIPTS, type EventScript } from './event-scripts.ts'

/** One event of the stream. */
export interface StreamRecord {
  readonly id: string
  readonly event: string
  /** JSON. */
  readonly payload: string
  /** The group whose publisher has applied it already. */
  readonly appliedBy: string
  /** When it was appended, by Redis' clock. */
  readonly atMs: number
}

/** What one read found. */
export interface StreamRead {
  /** What was missed, if anything: hand it to `closeGap` once the caches were cleared. */
  readonly gap: string | undefined
  /** Id of the last record of the stream, to wait for the next. */
  readonly lastId: string
  /** By Redis' clock. */
  readonly nowMs: number
  readonly records: readonly StreamRecord[]
}

export interface EventStreamOptions {
  readonly runner: RedisRunner
  readonly stream: string
  /** Who shares one position in the stream: a service, or a single process. */
  readonly group: string
  readonly maxLength: number
  readonly dedupeMs: number
}

type RawRecord = readonly [id: string, fields: readonly string[] | null]

/** Records that one read takes. */
const READ_COUNT = 100

/** The stream of events that services share, and this process's place in it. */
export class EventStream {
  /** Name of the stream's key. All that belongs to it lies in its slot. */
  readonly key: string
  readonly #consumer = randomUUID()
  readonly #options: EventStreamOptions
  readonly #gaps: string
  #highest = 0

  constructor(options: EventStreamOptions) {
    this.#options = options
    this.key = `{${options.stream}}`
    this.#gaps = `${this.key}:gaps`
    const { client } = options.runner.link
    for (const [name, lua] of Object.entries(EVENT_SCRIPTS)) client.defineCommand(name, { lua })
  }

  /** Whether a command sent now has a chance. */
  get isUsable(): boolean {
    return this.#options.runner.isUsable
  }

  /** Whether an event of this id was appended lately. */
  async isKnown(id: string): Promise<boolean> {
    const { runner } = this.#options
    return (await runner.run(() => runner.link.client.exists(this.#seenKey(id)))) === 1
  }

  /** False when an event of this id is there already. */
  async append(
    record: Pick<StreamRecord, 'event' | 'payload' | 'appliedBy'>,
    id: string | undefined,
  ): Promise<boolean> {
    const { maxLength, dedupeMs } = this.#options
    const keys = id === undefined ? [this.key] : [this.key, this.#seenKey(id)]
    const { event, payload, appliedBy } = record
    const reply = await this.#script('dharmaEventAppend', keys, [
      event,
      payload,
      appliedBy,
      maxLength,
      dedupeMs,
    ])
    return reply === 1
  }

  /** What is new for the group. Makes the group where there is none, which counts as a gap. */
  async take(): Promise<StreamRead> {
    const [gap, last, now, records] = (await this.#script(
      'dharmaEventTake',
      [this.key, this.#gaps],
      [this.#options.group, this.#consumer, READ_COUNT, this.#highest],
    )) as [string, string, string, readonly RawRecord[]]
    this.#highest = Number(last.split('-')[0])
    return {
      gap: gap === '' ? undefined : gap,
      lastId: last,
      nowMs: Number(now),
      records: records.flatMap(recordOf),
    }
  }

  /** What the group's processes took and did not finish within a time, this one's included. */
  async claim(idleMs: number): Promise<StreamRecord[]> {
    const records = (await this.#script(
      'dharmaEventClaim',
      [this.key, this.#gaps],
      [this.#options.group, this.#consumer, idleMs, READ_COUNT],
    )) as readonly RawRecord[]
    return records.flatMap(recordOf)
  }

  async acknowledge(ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return
    const { runner, group } = this.#options
    await runner.run(() => runner.link.client.xack(this.key, group, ...ids))
  }

  async closeGap(gap: string): Promise<void> {
    await this.#script('dharmaEventCloseGap', [this.#gaps], [this.#options.group, gap])
  }

  /** Gives up this process's place; with `isAlone` also the group, which was its own. */
  async leave(isAlone: boolean): Promise<void> {
    const { runner, group } = this.#options
    if (isAlone) await runner.run(() => runner.link.client.xgroup('DESTROY', this.key, group))
    else await this.#script('dharmaEventLeave', [this.key, this.#gaps], [group, this.#consumer])
  }

  /** Removes what nobody needs. */
  async tidy(
    idleMs: number,
  ): Promise<{ readonly trimmed: number; readonly consumers: number; readonly groups: number }> {
    const keys = [this.key, this.#gaps]
    const reply = await this.#script('dharmaEventTidy', keys, [idleMs])
    const [trimmed, consumers, groups] = reply as [number, number, number]
    return { trimmed, consumers, groups }
  }

  #seenKey(id: string): string {
    return `${this.key}:id:${id}`
  }

  #script(
    name: EventScript,
    keys: readonly string[],
    parameters: readonly (string | number)[],
  ): Promise<unknown> {
    const { runner } = this.#options
    const commands = runner.link.client as unknown as Record<
      EventScript,
      (count: number, ...parameters: (string | number)[]) => Promise<unknown>
    >
    return runner.run(() => commands[name](keys.length, ...keys, ...parameters))
  }
}

function recordOf([id, fields]: RawRecord): StreamRecord[] {
  // Trimmed since: the script has made a gap of it.
  if (fields === null) return []
  const record: Record<string, string> = {}
  for (let index = 0; index + 1 < fields.length; index += 2) {
    record[fields[index] as string] = fields[index + 1] as string
  }
  const { e: event = '', d: payload = '', a: appliedBy = '', t: at = '0' } = record
  return [{ id, event, payload, appliedBy, atMs: Number(at) }]
}
