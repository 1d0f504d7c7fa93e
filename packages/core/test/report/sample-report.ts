import { Secret } from '@dharma/core'
import type { Report } from '@dharma/core/report'

const START_MS = Date.UTC(2026, 10, 24, 12)
const timesMs = Array.from({ length: 120 }, (_, minute) => START_MS + minute * 60_000)

/** A report that has everything a report can have. */
export const sampleReport: Report = {
  title: 'Cache of the order service',
  subtitle: 'redis cluster, 6 nodes, two hours',
  createdAtMs: START_MS + 7_200_000,
  verdict: { status: 'warning', text: 'Works, but one tag makes every invalidation slow.' },
  sections: [
    {
      title: 'Summary',
      blocks: [
        {
          type: 'figures',
          figures: [
            { label: 'Hit ratio', value: 98.214, unit: '%', note: 'target 95%', status: 'good' },
            {
              label: 'Load time, p99',
              value: 412.6,
              unit: 'ms',
              note: 'limit 250 ms',
              status: 'bad',
            },
            { label: 'Lookups', value: 1_204_311 },
            { label: 'Memory', value: 61.25, unit: 'MB', note: 'of 64 MB', status: 'warning' },
            { label: 'Password', value: new Secret('canary-4711') },
          ],
        },
        {
          type: 'text',
          text: 'The hit ratio is high all the time.\nLoads are slow only while tags are invalidated.\n\nSee the findings below, and the plan of the slowest loader, for what can be done about it this week.',
        },
      ],
    },
    {
      title: 'Course',
      blocks: [
        {
          type: 'time-series',
          caption: 'Time to load a missing value',
          unit: 'ms',
          timesMs,
          series: [
            { label: 'p50', values: timesMs.map((_, i) => 20 + 5 * Math.sin(i / 9)) },
            {
              label: 'p99',
              values: timesMs.map((_, i) =>
                i > 70 && i < 78 ? null : 150 + 60 * Math.sin(i / 13) + (i % 30 === 0 ? 220 : 0),
              ),
            },
          ],
        },
        {
          type: 'bars',
          caption: 'Entries by tag',
          unit: 'entries',
          bars: [
            { label: 'product', value: 48_211 },
            { label: 'customer', value: 9_120 },
            { label: 'basket of a returning customer', value: 312 },
            { label: 'none', value: 0 },
          ],
        },
      ],
    },
    {
      title: 'Findings',
      blocks: [
        {
          type: 'findings',
          findings: [
            {
              severity: 'critical',
              title: 'Tag product covers 48,211 entries',
              detail:
                'Each invalidation of it drops a third of the cache, and the loaders that follow saturate the database for about a minute.',
              remedy: 'Tag by product id instead, and invalidate only what changed.',
              code: "await cache.invalidateTag(`product:${id}`)\nSELECT 1 WHERE a < 2 AND b > '3'",
            },
            {
              severity: 'warning',
              title: 'Memory is 96% full',
              remedy: 'Raise maxBytes to 96 MB.',
            },
            { severity: 'info', title: 'Compression saves 41% of the traffic' },
          ],
        },
      ],
    },
    {
      title: 'Details',
      blocks: [
        {
          type: 'table',
          caption: 'Slowest loaders',
          columns: [
            { label: 'Loader' },
            { label: 'Calls' },
            { label: 'p99 (ms)' },
            { label: 'Warm' },
            { label: 'Source', align: 'right' },
          ],
          rows: [
            ['productById', 48_211, 412.61, false, 'postgres://app:canary-4711@db/orders'],
            ['customer | with * and `ticks`', 912, 0.000_012_3, true, 'api'],
            ['basket', 0, Number.NaN, null, new Secret({ key: 'canary-4711' })],
          ],
        },
        {
          type: 'code',
          caption: 'Plan of productById',
          language: 'sql',
          code: 'Index Scan using product_pkey on product  (cost=0.29..8.31 rows=1)\n  Index Cond: (id = $1)\n  ``` not the end',
        },
      ],
    },
  ],
}
