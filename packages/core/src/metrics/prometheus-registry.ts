/**
 * What this package needs of a registry: `Registry` of `prom-client` and of `@prometheus-io/client`
 * both have it, and either can be the home of metrics.
 */
export interface PrometheusRegistry {
  // Each client's types ask for its own classes; at run time both only call what RegistryEntry has.
  registerMetric(metric: never): void
  getSingleMetric(name: string): unknown
  getMetricsAsArray(): readonly unknown[]
}

/** What a registry holds: named, and read when text is made. */
export interface RegistryEntry {
  name: string
  readonly help: string
  readonly type: string
  /** How the clients add up processes of a cluster. */
  readonly aggregator: string
  get(): RegistryMetric | Promise<RegistryMetric>
}

/** A metric with its values, as both clients write it. */
export interface RegistryMetric {
  readonly name: string
  readonly help: string
  readonly type: string
  readonly aggregator?: string
  readonly values: readonly RegistryValue[]
}

export interface RegistryValue {
  readonly value: number
  readonly labels: Readonly<Record<string, string | number>>
  /** The name of the line, when it is not that of the metric. */
  readonly metricName?: string
  /** Labels that many values share, in the clients' histograms. */
  readonly sharedLabels?: Readonly<Record<string, string | number>>
  readonly exemplar?: RegistryExemplar | null
}

export interface RegistryExemplar {
  readonly labelSet: Readonly<Record<string, string | number>>
  readonly value: number
  readonly timestamp: number
}

/** The labels that the registry adds to each line. Neither client has a getter for them. */
export function defaultLabelsOf(registry: PrometheusRegistry): Readonly<Record<string, string>> {
  const { _defaultLabels: labels = {} } = registry as {
    readonly _defaultLabels?: Readonly<Record<string, string>>
  }
  return labels
}
