import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

export interface UplotAssets {
  readonly script: string
  readonly style: string
}

let assets: UplotAssets | undefined

/** Script and style of uPlot (MIT, its notice included), read once from the installed package. */
export function uplotAssets(): UplotAssets {
  if (assets !== undefined) return assets
  const require = createRequire(import.meta.url)
  const folder = dirname(require.resolve('uplot'))
  const read = (name: string): string => readFileSync(join(folder, name), 'utf8')
  assets = { script: read('uPlot.iife.min.js'), style: read('uPlot.min.css') }
  return assets
}
