/** A row with text, time, JSON, numbers and nulls. */
export interface Row {
  readonly id: number
  readonly handle: string
  readonly body: string | null
  readonly at: Date
  readonly attributes: { readonly topics: readonly string[]; readonly rank: number }
  readonly amount: string
  readonly active: boolean
  readonly country: string
}

export const COLUMN_NAMES: readonly (keyof Row)[] = [
  'id',
  'handle',
  'body',
  'at',
  'attributes',
  'amount',
  'active',
  'country',
]
export const COLUMN_TYPES: readonly string[] = [
  'int',
  'text',
  'text',
  'timestamptz',
  'jsonb',
  'numeric',
  'bool',
  'text',
]
export const COLUMNS =
  'id int, handle text, body text, at timestamptz, attributes jsonb, amount numeric, active bool, country text'

export function makeRows(count: number): Row[] {
  return Array.from({ length: count }, (_, id) => ({
    id,
    handle: `user ${id}\ttab`,
    body: id % 3 === 0 ? null : `línea ${id}\nwith a text of more than a few characters`,
    at: new Date(1.6e12 + id * 1000),
    attributes: { topics: ['travel', 'music'], rank: id },
    amount: `${id}.25`,
    active: id % 2 === 0,
    country: 'DE',
  }))
}
