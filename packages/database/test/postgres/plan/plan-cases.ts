import type { FindingCode } from '@dharma/database/postgres'

/** Server settings that make the planner's choice certain, where a case needs one. */
type Settings = Readonly<Record<string, string>>

/** A statement to explain. */
export interface Case {
  readonly text: string
  readonly settings?: Settings
  /** Whether the statement is run. @default true */
  readonly analyze?: boolean
}

/** For each finding a statement that has it, and one like it that must not. */
export const CASES: readonly (readonly [FindingCode, Case, Case])[] = [
  [
    'sequential-scan',
    { text: 'select * from posts where likes = 17' },
    { text: 'select * from posts where likes < 900' },
  ],
  [
    'sequential-scan',
    { text: 'select * from posts where likes = 17', analyze: false },
    { text: 'select * from few where id = 17', analyze: false },
  ],
  [
    'rows-misestimated',
    { text: 'select * from posts where city = id % 10 and country = id % 10' },
    { text: 'select * from posts where city = 3' },
  ],
  [
    'sort-spilled',
    { text: 'select * from posts order by body', settings: { work_mem: '64kB' } },
    { text: 'select * from posts order by body', settings: { work_mem: '64MB' } },
  ],
  [
    'hash-spilled',
    {
      text: 'select * from posts a join posts b on a.id = b.likes',
      settings: { work_mem: '64kB', enable_mergejoin: 'off', enable_nestloop: 'off' },
    },
    {
      text: 'select * from posts a join posts b on a.id = b.likes',
      settings: { work_mem: '64MB', enable_mergejoin: 'off', enable_nestloop: 'off' },
    },
  ],
  [
    'hash-spilled',
    {
      text: 'select body, count(*) from posts group by body',
      settings: { work_mem: '64kB', enable_sort: 'off' },
    },
    {
      text: 'select city, count(*) from posts group by city',
      settings: { work_mem: '64kB', enable_sort: 'off' },
    },
  ],
  [
    'nested-loop',
    {
      text: 'select * from posts a join posts b on b.id = a.likes',
      settings: { enable_hashjoin: 'off', enable_mergejoin: 'off', enable_memoize: 'off' },
    },
    { text: 'select * from few a join posts b on b.id = a.id' },
  ],
  [
    'nested-loop',
    {
      text: 'select count(*) from posts a join few b on b.id < a.likes and b.id > a.likes - 3',
      analyze: false,
    },
    { text: 'select count(*) from few a join few b on b.id < a.id', analyze: false },
  ],
  [
    'rows-removed-by-join-filter',
    {
      text: 'select count(*) from posts a join few b on a.likes + b.id = 0 where a.id <= 4000',
      settings: { enable_hashjoin: 'off', enable_mergejoin: 'off' },
    },
    { text: 'select count(*) from few a join few b on a.id < b.id' },
  ],
  [
    'rows-removed-by-filter',
    {
      text: 'select * from posts where id < 5000 and body = $q$nowhere$q$',
      settings: { enable_seqscan: 'off' },
    },
    {
      text: 'select * from posts where id < 5000 and likes >= 0',
      settings: { enable_seqscan: 'off' },
    },
  ],
  [
    'index-recheck',
    {
      text: `select * from documents where words @@ 'common <-> again'`,
      settings: { enable_seqscan: 'off' },
    },
    {
      text: `select * from documents where words @@ 'common & again'`,
      settings: { enable_seqscan: 'off' },
    },
  ],
  [
    'lossy-bitmap',
    {
      text: 'select * from sparse where v >= 0',
      settings: { work_mem: '64kB', enable_seqscan: 'off', enable_indexscan: 'off' },
    },
    {
      text: 'select * from posts where id < 100',
      settings: { work_mem: '64kB', enable_seqscan: 'off', enable_indexscan: 'off' },
    },
  ],
  [
    'visibility-map',
    {
      text: 'select count(id) from unvacuumed where id < 30000',
      settings: { enable_seqscan: 'off', enable_bitmapscan: 'off' },
    },
    {
      text: 'select count(id) from posts where id < 30000',
      settings: { enable_seqscan: 'off', enable_bitmapscan: 'off' },
    },
  ],
  [
    'visibility-map',
    {
      text: 'select count(id) from unvacuumed where id < 30000',
      settings: { enable_seqscan: 'off', enable_bitmapscan: 'off' },
      analyze: false,
    },
    {
      text: 'select count(id) from posts where id < 30000',
      settings: { enable_seqscan: 'off', enable_bitmapscan: 'off' },
      analyze: false,
    },
  ],
  [
    'never-executed',
    {
      text: 'select * from few a join posts b on b.id = a.id where a.id = -1',
      settings: { enable_hashjoin: 'off', enable_mergejoin: 'off' },
    },
    { text: 'select * from few a join posts b on b.id = a.id' },
  ],
  [
    'missing-statistics',
    { text: 'select * from unknown where id = 1', analyze: false },
    { text: 'select * from posts where id = 1', analyze: false },
  ],
  [
    'stale-statistics',
    { text: 'select * from changed a join changed b using (id)', analyze: false },
    { text: 'select * from posts where id = 1', analyze: false },
  ],
]
