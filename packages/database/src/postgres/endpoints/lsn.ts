/** A place in the write-ahead log. Places of one history compare as numbers do. */
export type Lsn = bigint

/** Only the header of a page lies before: nothing of a record, so the record before it ended where the page begins. */
const PAGE_BYTES = 8_192n
const PAGE_HEADER_BYTES = 24n

/** Reads `16/B374D848`, as the server writes it. @throws RangeError for anything else */
export function parseLsn(text: string): Lsn {
  const match = /^([0-9A-F]{1,8})\/([0-9A-F]{1,8})$/i.exec(text)
  if (match === null) {
    throw new RangeError(`an LSN has the form 16/B374D848, got '${text.slice(0, 32)}'`)
  }
  const lsn = (BigInt(`0x${match[1]}`) << 32n) | BigInt(`0x${match[2]}`)
  return lsn % PAGE_BYTES === PAGE_HEADER_BYTES ? lsn - PAGE_HEADER_BYTES : lsn
}

/** As the server writes it. */
export function formatLsn(lsn: Lsn): string {
  return `${(lsn >> 32n).toString(16)}/${(lsn & 0xffff_ffffn).toString(16)}`.toUpperCase()
}
