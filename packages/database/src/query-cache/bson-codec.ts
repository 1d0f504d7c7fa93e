/** The part of the driver's `BSON` that is needed. */
export interface BsonLibrary {
  serialize(document: { readonly value: unknown }): Uint8Array
  deserialize(bytes: Uint8Array): Record<string, unknown>
}

/** As `Codec` of `@dharma/cache`. */
export interface BsonCodec {
  readonly id: number
  readonly name: string
  encode(value: unknown): Uint8Array
  decode(bytes: Uint8Array): unknown
}

/**
 * A codec that keeps documents as the driver gives them, for a cache outside of the process:
 * `createCache({ redis, codec: bsonCodec(BSON) })` with `BSON` of `mongodb`.
 */
export function bsonCodec(bson: BsonLibrary): BsonCodec {
  return {
    id: 66,
    name: 'bson',
    encode: (value) => bson.serialize({ value }),
    decode: (bytes) => bson.deserialize(bytes)['value'],
  }
}
