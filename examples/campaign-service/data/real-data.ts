import { readFile } from 'node:fs/promises'

/** A flight within the United States in January to March 2001, of the Bureau of Transportation Statistics. */
export interface Flight {
  readonly id: number
  /** Minutes late on arrival; negative when early. */
  readonly delay: number
  /** Miles. */
  readonly distance: number
  /** Hour of departure, with fractions. */
  readonly time: number
}

export interface Airport {
  readonly iata: string
  readonly name: string
  readonly city: string | null
  readonly latitude: number
  readonly longitude: number
}

/** Up to `limit` of the 200,000 flights that the package vega-datasets carries. */
export async function readFlights(limit: number): Promise<Flight[]> {
  const text = await readFile(dataFile('flights-200k.json'), 'utf8')
  const flights = JSON.parse(text) as Omit<Flight, 'id'>[]
  return flights
    .slice(0, limit)
    .map(({ delay, distance, time }, id) => ({ id, delay, distance, time }))
}

/** The 3,376 airports that the package vega-datasets carries. */
export async function readAirports(): Promise<Airport[]> {
  const text = await readFile(dataFile('airports.csv'), 'utf8')
  const [, ...lines] = text.trim().split('\n')
  return lines.map((line) => {
    const fields = splitCsv(line)
    const [iata = '', name = '', city = ''] = fields
    const [latitude, longitude] = fields.slice(-2).map(Number)
    return {
      iata,
      name,
      city: city === 'NA' || city === '' ? null : city,
      latitude: latitude ?? 0,
      longitude: longitude ?? 0,
    }
  })
}

function dataFile(name: string): URL {
  return new URL(`../data/${name}`, import.meta.resolve('vega-datasets'))
}

/** Fields of a line of CSV whose quoted ones may hold commas. */
function splitCsv(line: string): string[] {
  return [...line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)].map(([, quoted, plain]) => {
    return quoted === undefined ? (plain ?? '').trim() : quoted.replaceAll('""', '"')
  })
}
