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

/** Settings that several cases need. */
const LITTLE_MEMORY: Settings = { work_mem: '64kB' }
const MUCH_MEMORY: Settings = { work_mem: '64MB' }
const NO_SCAN: Settings = { enable_seqscan: 'off' }
const HASH_JOIN: Settings = { enable_mergejoin: 'off', enable_nestloop: 'off' }
const LOOP_JOIN: Settings = { enable_hashjoin: 'off', enable_mergejoin: 'off' }
const BITMAP: Settings = { ...LITTLE_MEMORY, ...NO_SCAN, enable_indexscan: 'off' }
const INDEX_ONLY: Settings = { ...NO_SCAN, enable_bitmapscan: 'off' }
/** One and the same table read by its index alone, before and after VACUUM. */
const UNVACUUMED: Case = {
  text: 'select count(id) from unvacuumed where id < 30000',
  settings: INDEX_ONLY,
}
const VACUUMED: Case = {
  text: 'select count(id) from posts where id < 30000',
  settings: INDEX_ONLY,
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
    { text: 'select * from posts order by body', settings: LITTLE_MEMORY },
    { text: 'select * from posts order by body', settings: MUCH_MEMORY },
  ],
  [
    'hash-spilled',
    {
      text: 'select * from posts a join posts b on a.id = b.likes',
      settings: { ...LITTLE_MEMORY, ...HASH_JOIN },
    },
    {
      text: 'select * from posts a join posts b on a.id = b.likes',
      settings: { ...MUCH_MEMORY, ...HASH_JOIN },
    },
  ],
  [
    'hash-spilled',
    {
      text: 'select body, count(*) from posts group by body',
      settings: { ...LITTLE_MEMORY, enable_sort: 'off' },
    },
    {
      text: 'select city, count(*) from posts group by city',
      settings: { ...LITTLE_MEMORY, enable_sort: 'off' },
    },
  ],
  [
    'nested-loop',
    {
      text: 'select * from posts a join posts b on b.id = a.likes',
      settings: { ...LOOP_JOIN, enable_memoize: 'off' },
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
      settings: LOOP_JOIN,
    },
    { text: 'select count(*) from few a join few b on a.id < b.id' },
  ],
  [
    'rows-removed-by-filter',
    {
      text: 'select * from posts where id < 5000 and body = $q$nowhere$q$',
      settings: NO_SCAN,
    },
    {
      text: 'select * from posts where id < 5000 and likes >= 0',
      settings: NO_SCAN,
    },
  ],
  [
    'index-recheck',
    {
      text: `select * from documents where words @@ 'common <-> again'`,
      settings: NO_SCAN,
    },
    {
      text: `select * from documents where words @@ 'common & again'`,
      settings: NO_SCAN,
    },
  ],
  [
    'lossy-bitmap',
    {
      text: 'select * from sparse where v >= 0',
      settings: BITMAP,
    },
    {
      text: 'select * from posts where id < 100',
      settings: BITMAP,
    },
  ],
  ['visibility-map', UNVACUUMED, VACUUMED],
  ['visibility-map', { ...UNVACUUMED, analyze: false }, { ...VACUUMED, analyze: false }],
  [
    'never-executed',
    {
      text: 'select * from few a join posts b on b.id = a.id where a.id = -1',
      settings: LOOP_JOIN,
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
