/** Tables of a social application: 580,000 rows in three schemas. */
export const SETUP = `
create schema app; create schema stats;
create table app.users (
  id int primary key, email text not null, name text not null, city int not null,
  is_active boolean not null, created_at timestamptz not null, settings jsonb not null, deleted_at timestamptz);
insert into app.users select i, 'User' || i || '@example.com', 'name ' || md5(i::text), (i::bigint * 7919) % 500,
  i % 20 <> 0, timestamptz '2024-01-01' + i * interval '7 minutes',
  jsonb_build_object('theme', 'theme' || i % 400, 'lang', i % 3), case when i % 50 = 0 then now() end
  from generate_series(1, 60000) i;
create table app.posts (
  id int primary key, user_id int not null, status text not null, likes int not null, title text not null,
  tags text[] not null, attrs jsonb not null, created_at timestamptz not null, body text not null);
insert into app.posts select i, (i::bigint * 7919) % 60000 + 1,
  case when i % 100 = 0 then 'draft' when i % 333 = 1 then 'flagged' else 'published' end,
  (i::bigint * 104729) % 10000, 'title ' || md5((i * 3)::text), array['tag' || i % 900, 'tag' || (i * 7) % 900],
  jsonb_build_object('campaign', i % 3000, 'channel', 'c' || i % 5), timestamptz '2024-01-01' + i * interval '2 minutes',
  repeat('text ', 20) from generate_series(1, 200000) i;
create table app.follows (follower int not null, followee int not null, since timestamptz not null);
insert into app.follows select (i::bigint * 7919) % 60000, (i::bigint * 104729) % 60000, timestamptz '2024-01-01' + i * interval '1 minute'
  from generate_series(1, 120000) i;
create table stats.events (
  id bigint generated always as identity, at timestamptz not null, campaign int not null, kind text not null, amount numeric, user_id int);
insert into stats.events (at, campaign, kind, amount, user_id) select timestamptz '2024-01-01' + i * interval '30 seconds',
  (i::bigint * 7919) % 2000, 'k' || i % 6, i % 1000, case when i % 40 = 0 then i % 60000 end from generate_series(1, 200000) i;
create table stats.posts (id int primary key, views int not null);
insert into stats.posts select i, (i::bigint * 7919) % 1000 from generate_series(1, 20000) i;
create extension pg_trgm`

/** A statement, how often it runs, and what an expert expects of an index for it. */
export interface KnownQuery {
  readonly text: string
  readonly calls: number
  /** Table, keys in front, and more, as the definition has it. */
  readonly expected: RegExp
}

export const QUERIES: readonly KnownQuery[] = [
  {
    calls: 2000,
    text: `select id, title from app.posts where user_id = 4711 order by created_at desc limit 20`,
    expected: /app\.posts USING btree \(user_id, created_at/,
  },
  {
    calls: 500,
    text: `select count(*) from app.posts where user_id = 812`,
    expected: /app\.posts USING btree \(user_id/,
  },
  {
    calls: 300,
    text: `select id, title from app.posts where status = 'flagged' order by created_at limit 50`,
    expected: /app\.posts USING btree \((?:status, )?created_at/,
  },
  {
    calls: 100,
    text: `select id from app.posts where status = 'draft' and likes > 9900`,
    expected: /app\.posts USING btree \((?:status, )?likes\).*(?:status|likes)/,
  },
  {
    calls: 1000,
    text: `select id, name from app.users where lower(email) = 'user4242@example.com'`,
    expected: /app\.users USING btree \(\(lower\(email\)\)\)/,
  },
  {
    calls: 200,
    text: `select id, name from app.users where city = 42 and is_active order by created_at desc limit 10`,
    expected: /app\.users USING btree \(city(?:, created_at)?/,
  },
  {
    calls: 300,
    text: `select id, title from app.posts where tags @> array['tag77']`,
    expected: /app\.posts USING gin \(tags/,
  },
  {
    calls: 300,
    text: `select id from app.posts where attrs @> '{"campaign": 1234}'`,
    expected: /app\.posts USING gin \(attrs jsonb_path_ops/,
  },
  {
    calls: 200,
    text: `select id from app.posts where title like '%9fa1b%'`,
    expected: /app\.posts USING gin \(title gin_trgm_ops/,
  },
  {
    calls: 400,
    text: `select id from app.posts where title like 'title 9fa1b%'`,
    expected: /app\.posts USING (?:btree \(title(?: text_pattern_ops)?|gin \(title)/,
  },
  {
    calls: 500,
    text: `select id from app.users where settings->>'theme' = 'theme77'`,
    expected: /app\.users USING btree \(\(\(settings ->> '?/,
  },
  {
    calls: 400,
    text: `select followee from app.follows where follower = 333`,
    expected: /app\.follows USING btree \(follower/,
  },
  {
    calls: 400,
    text: `select count(*) from app.follows where followee = 4242`,
    expected: /app\.follows USING btree \(followee/,
  },
  {
    calls: 200,
    text: `select p.id, p.title from app.follows f join app.posts p on p.user_id = f.followee where f.follower = 901 order by p.created_at desc limit 20`,
    expected: /app\.posts USING btree \(user_id/,
  },
  {
    calls: 300,
    text: `select sum(amount) from stats.events where campaign = 77`,
    expected: /stats\.events USING btree \(campaign/,
  },
  {
    calls: 200,
    text: `select kind, count(*) from stats.events where campaign = 99 and at >= '2024-02-01' and at < '2024-02-20' group by kind`,
    expected: /stats\.events USING btree \(campaign/,
  },
  {
    calls: 200,
    text: `select count(*) from stats.events where at >= '2024-02-10' and at < '2024-02-11'`,
    expected: /stats\.events USING (?:brin|btree) \(at/,
  },
  {
    calls: 100,
    text: `select id, at from stats.events where user_id = 1240`,
    expected: /stats\.events USING btree \(user_id/,
  },
  {
    calls: 200,
    text: `select id from app.posts where user_id = 5 or likes = 4567`,
    expected: /app\.posts USING btree \(likes/,
  },
  {
    calls: 300,
    text: `with recent as (select id, user_id from app.posts where likes = 9999) select u.name from recent r join app.users u on u.id = r.user_id`,
    expected: /app\.posts USING btree \(likes/,
  },
  {
    calls: 300,
    text: `select id from app.users u where city = 17 and exists (select from app.posts p where p.user_id = u.id and p.status = 'flagged')`,
    expected: /app\.users USING btree \(city/,
  },
  {
    calls: 100,
    text: `select id, name from app.users where deleted_at is not null and city in (3, 4)`,
    expected: /app\.users USING btree \((?:city|deleted_at)/,
  },
  {
    calls: 200,
    text: `select p.id from stats.posts p where p.views = 123`,
    expected: /stats\.posts USING btree \(views/,
  },
  {
    calls: 100,
    text: `update app.posts set likes = likes + 1 where user_id = 777 and status = 'draft'`,
    expected: /app\.posts USING btree \(user_id/,
  },
  {
    calls: 100,
    text: `select id from app.posts where likes in (1, 2, 3)`,
    expected: /app\.posts USING btree \(likes/,
  },
]

/** What a person who knows the statements and the data would create. */
export const EXPERT: readonly string[] = [
  'create index on app.posts (user_id, created_at desc)',
  "create index on app.posts (created_at) where status = 'flagged'",
  "create index on app.posts (likes) where status = 'draft'",
  'create index on app.posts (likes)',
  'create index on app.posts using gin (tags)',
  'create index on app.posts using gin (attrs jsonb_path_ops)',
  'create index on app.posts using gin (title gin_trgm_ops)',
  'create index on app.posts (title text_pattern_ops)',
  'create index on app.users (lower(email))',
  'create index on app.users (city, created_at desc)',
  "create index on app.users ((settings->>'theme'))",
  'create index on app.follows (follower) include (followee)',
  'create index on app.follows (followee)',
  'create index on stats.events (campaign, at) include (kind, amount)',
  'create index on stats.events (at)',
  'create index on stats.events (user_id) where user_id is not null',
  'create index on stats.posts (views) include (id)',
]

export const TABLES: readonly string[] = [
  'app.users',
  'app.posts',
  'app.follows',
  'stats.events',
  'stats.posts',
]
