export { formatBytes, parseBytes, type BytesLimits, type FormatBytesOptions } from './bytes.ts'
export { formatDuration, parseDuration, type DurationLimits } from './duration.ts'
