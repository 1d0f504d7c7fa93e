import { PostgresQueryError } from '../postgres/errors.ts'
import type { PostgresManager, Transaction } from '../postgres/index.ts'

export interface ChangeTriggerOptions {
  /** How long a table may be waited for: the lock that is needed holds up its writers. Above 0. @default 2_000 */
  readonly lockTimeoutMs?: number | undefined
  /** Schema of the function that the triggers share; must exist. @default 'public' */
  readonly schema?: string | undefined
}

/** Where the triggers tell of changes; the payload is the number of the table. */
export const CHANGE_CHANNEL = 'dharma_changes'

const FUNCTION_NAME = 'dharma_tell_change'

/**
 * Lets tables tell of every statement that changes them, whoever sends it: two triggers a table, once
 * a statement, one notification a transaction and table. Partitions of the tables get them too; those
 * made later do when it is called again. Calling it again changes nothing else.
 * @param tables as SQL writes them: `posts`, `app.posts`, `"Posts"`
 * @throws PostgresQueryError where a table is missing or its lock is not had in time; nothing is changed then
 */
export async function installChangeTriggers(
  manager: PostgresManager,
  tables: readonly string[],
  options: ChangeTriggerOptions = {},
): Promise<void> {
  await underLock(manager, options, async (transaction, schema) => {
    const { rows } = await transaction.query<{ text: string }>(
      `select format('create or replace function %I.${FUNCTION_NAME}() returns trigger language plpgsql as %L', $1::text,
         'begin perform pg_notify(''${CHANGE_CHANNEL}'', tg_relid::text); return null; end') as text`,
      [schema],
    )
    for (const { text } of rows) await transaction.query(text)
    const triggers = await transaction.query<{ text: string }>(
      `select format('create or replace trigger %s after %s on %s for each statement execute function %I.${FUNCTION_NAME}()',
         t.name, t.event, f.oid::regclass, $2::text) as text
       from (${FAMILY}) f,
         (values ('dharma_change', 'insert or update or delete'), ('dharma_truncate', 'truncate')) t(name, event)
       order by f.oid, t.name`,
      [tables, schema],
    )
    for (const { text } of triggers.rows) await transaction.query(text)
  })
}

/** Takes the triggers away again, from partitions too, and the function with the last of them. */
export async function removeChangeTriggers(
  manager: PostgresManager,
  tables: readonly string[],
  options: ChangeTriggerOptions = {},
): Promise<void> {
  await underLock(manager, options, async (transaction, schema) => {
    const { rows } = await transaction.query<{ text: string }>(
      `select format('drop trigger if exists %s on %s', t.name, f.oid::regclass) as text
       from (${FAMILY}) f, (values ('dharma_change'), ('dharma_truncate')) t(name) order by f.oid, t.name`,
      [tables],
    )
    for (const { text } of rows) await transaction.query(text)
    const unused = await transaction.query<{ text: string }>(
      `select format('drop function %s', p.oid::regprocedure) as text from pg_proc p
       where p.proname = '${FUNCTION_NAME}' and p.pronamespace = $1::regnamespace
         and not exists (select 1 from pg_trigger t where t.tgfoid = p.oid)`,
      [schema],
    )
    for (const { text } of unused.rows) await transaction.query(text)
  })
}

/** Tables named, and all partitions and children of theirs. A name that means nothing is an error. */
const FAMILY = `
  with recursive family(oid) as (
    select name::regclass::oid from unnest($1::text[]) name
    union select i.inhrelid from pg_inherits i join family on i.inhparent = family.oid)
  select oid from family`

async function underLock(
  manager: PostgresManager,
  { lockTimeoutMs = 2_000, schema = 'public' }: ChangeTriggerOptions,
  work: (transaction: Transaction, schema: string) => Promise<void>,
): Promise<void> {
  if (!(lockTimeoutMs > 0)) {
    throw new RangeError(`lockTimeoutMs must be above 0, got ${lockTimeoutMs}`)
  }
  await manager.transaction(async (transaction) => {
    await transaction.query(`select set_config('lock_timeout', $1, true)`, [`${lockTimeoutMs}ms`])
    await transaction.query(`select pg_advisory_xact_lock(hashtext('${FUNCTION_NAME}'))`)
    const { rows } = await transaction.query('select 1 from pg_namespace where nspname = $1', [
      schema,
    ])
    if (rows.length === 0) throw new PostgresQueryError(`there is no schema ${schema}`, '3F000', {})
    await work(transaction, schema)
  })
}
