/** Turns values into bytes and back. What its `id` once wrote, it must read for ever. */
export interface Codec {
  /** Stands in each entry's header. 16 to 255 for your own; those below belong to this package. */
  readonly id: number
  /** For reports. */
  readonly name: string
  /** @throws anything, when the value cannot be encoded. */
  encode(value: unknown): Uint8Array
  decode(bytes: Buffer): unknown
}
