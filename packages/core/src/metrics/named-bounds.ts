import type { HistogramOptions } from '../metrics.ts'

type NamedBounds = Extract<HistogramOptions['bounds'], string>

/** The named sets of bounds, and the unit that a histogram with one must have in its name. */
export const NAMED_BOUNDS: Readonly<
  Record<NamedBounds, { readonly unit: string; readonly bounds: readonly number[] }>
> = {
  latency: {
    unit: 'seconds',
    bounds: [
      0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5,
      10,
    ],
  },
  size: {
    unit: 'bytes',
    bounds: Array.from({ length: 10 }, (_, i) => 256 * 4 ** i),
  },
  ratio: {
    unit: 'ratio',
    bounds: [0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1],
  },
}
