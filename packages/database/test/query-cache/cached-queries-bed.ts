import { createCache, type Cache } from '@dharma/cache'
import { PostgresManager } from '@dharma/database/postgres'
import { CachedQueries } from '@dharma/database/query-cache'
import { startPostgres, uniqueName, type TestServer } from '@dharma/testkit'
import { afterAll, beforeAll, beforeEach } from 'vitest'

export const ttl = { ttlMs: 60_000 }

/** What the tests of cached queries work on. */
export interface CachedQueriesBed {
  readonly schema: string
  readonly url: string
  readonly database: PostgresManager
  readonly cache: Cache
  readonly queries: CachedQueries
  use(queries: CachedQueries): void
  rows(text: string, values?: readonly unknown[]): Promise<unknown[]>
  /** Whether reading it now asks the server. */
  isLoaded(text: string, values?: readonly unknown[]): Promise<boolean>
  /** Which of the texts a piece of work makes the cache forget. */
  forgottenBy(texts: readonly string[], work: () => Promise<unknown>): Promise<string[]>
}

/** A server of one version with tables of every kind, for the tests of one file. */
export function cachedQueriesBed(version: number): CachedQueriesBed {
  const schema = uniqueName('query_cache')
  let server: TestServer
  let url: string
  let database: PostgresManager
  let cache: Cache
  let queries: CachedQueries

  const rows = async (text: string, values: readonly unknown[] = []): Promise<unknown[]> =>
    (await queries.query(text, values, ttl)).rows

  /** Whether reading it now asks the server. */
  const isLoaded = async (text: string, values: readonly unknown[] = []): Promise<boolean> => {
    const before = queries.stats().loads
    await queries.query(text, values, ttl)
    return queries.stats().loads > before
  }

  /** Which of the texts a piece of work makes the cache forget. */
  const forgottenBy = async (
    texts: readonly string[],
    work: () => Promise<unknown>,
  ): Promise<string[]> => {
    for (const text of texts) await queries.query(text, [], ttl)
    await work()
    const forgotten: string[] = []
    for (const text of texts) if (await isLoaded(text)) forgotten.push(text)
    return forgotten
  }

  beforeAll(async () => {
    server = await startPostgres({ version })
    url = withSearchPath(server.url, schema)
    database = await new PostgresManager({
      url,
      pool: { max: 3 },
    }).connect()
    await database.query(`create schema ${schema}`)
    await database.query(`create schema ${schema}_other`)
    const definitions = `
      create table users (id int primary key, name text not null);
      create table posts (id int primary key, user_id int not null references users on delete cascade, title text);
      create table likes (post_id int not null references posts on delete cascade);
      create table bookmarks (post_id int references posts on delete set null);
      create table notes (user_id int references users on update cascade);
      create table tags (id int primary key, name text);
      create table ${schema}_other.tags (id int primary key, name text);
      create view recent as select p.id, p.title, u.name from posts p join users u on u.id = p.user_id;
      create view titles as select title from recent;
      create view dated as select id, now() as moment from tags;
      create materialized view summary as select count(*) as n from tags;
      create table events (id int, at date not null) partition by range (at);
      create table events_2025 partition of events for values from ('2025-01-01') to ('2026-01-01');
      create table events_2026 partition of events for values from ('2026-01-01') to ('2027-01-01');
      create table animals (name text);
      create table cats () inherits (animals);
      create table audit (what text);
      create table stamped (id int, updated_at timestamptz);
      create table loud (id int);
      create table ruled (id int);
      create table guarded (id int);
      create table plain (id int);
      create table computed (id int, twice int generated always as (id * 2) stored);
      create type coin as (pence int)`
    for (const text of definitions.split(';')) await database.query(text)
    const blocks = [
      `create function stamp() returns trigger language plpgsql as $$ begin new.updated_at := now(); return new; end $$`,
      `create trigger stamp before insert or update on stamped for each row execute function stamp()`,
      `create function log_it() returns trigger language plpgsql as $$ begin insert into audit values (tg_op); return null; end $$`,
      `create trigger log_it after insert or update or delete on loud for each row execute function log_it()`,
      `create rule also as on insert to ruled do also insert into audit values ('rule')`,
      `alter table guarded enable row level security`,
      `create function add_one(x int) returns int immutable language sql as 'select x + 1'`,
      `create function tag_count() returns bigint stable language sql as 'select count(*) from tags'`,
      `create function roll() returns int volatile language sql as 'select 4'`,
      `create function write_audit() returns void volatile language sql as $$ insert into audit values ('f') $$`,
      `create procedure write_tags() language sql as $$ insert into tags values (77, 'p') on conflict do nothing $$`,
      `create function next_number() returns int volatile language sql as $$ insert into audit values ('n'); select 1 $$`,
      `create function token() returns text volatile language plpgsql as $$ begin return md5(clock_timestamp()::text); end $$`,
      `create function counts_tags(a int, b int) returns boolean stable language sql as 'select a = b + (select count(*) from tags)'`,
      `create sequence counter`,
      `create table numbered (id int default next_number(), name text)`,
      `create table tokened (token text default token(), name text)`,
      `create table checked (id int check (next_number() > 0))`,
      `create domain number_of_own as int default next_number()`,
      `create table of_own (id number_of_own, name text)`,
      `create function coin_of(x int) returns coin stable language sql as 'select row(x * (select count(*) from tags))::coin'`,
      `create cast (int as coin) with function coin_of(int)`,
      `create function hold(key int) returns int stable language plpgsql as $$ begin perform pg_advisory_xact_lock_shared(key); return key; end $$`,
      `create aggregate total(int) (sfunc = int4pl, stype = int, initcond = '0')`,
    ]
    for (const text of blocks) await database.query(text)
  })

  afterAll(async () => {
    await queries.close()
    await cache.close()
    await database.close()
    await server.close()
  })

  beforeEach(async () => {
    await queries?.close()
    await cache?.close()
    cache = createCache({ namespace: 'queries' })
    queries = new CachedQueries(database, cache, {
      declared: {
        functionReads: { [`${schema}.tag_count`]: ['tags'], [`${schema}.hold`]: [] },
        functionWrites: { [`${schema}.write_audit`]: ['audit'] },
      },
    })
    await database.query('truncate users, tags, plain cascade')
    await database.query(`insert into users values (1, 'ada'), (2, 'bob')`)
    await database.query(`insert into posts values (1, 1, 'first'), (2, 2, 'second')`)
    await database.query(`insert into tags values (1, 'red')`)
  })

  return {
    schema,
    get url() {
      return url
    },
    get database() {
      return database
    },
    get cache() {
      return cache
    },
    get queries() {
      return queries
    },
    use(other) {
      queries = other
    },
    rows,
    isLoaded,
    forgottenBy,
  }
}

function withSearchPath(address: string, schema: string): string {
  const target = new URL(address)
  target.searchParams.set('options', `-c search_path=${schema}`)
  return target.href
}
