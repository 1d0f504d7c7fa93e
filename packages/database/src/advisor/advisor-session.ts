/**
 * One session of PostgreSQL, such as a connected `Client` of pg. Hypothetical indexes are the session's
 * own, so that a pool will not do.
 */
export interface AdvisorSession {
  // oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- as pg's own has it
  query<Row extends object>(
    text: string,
    values?: readonly unknown[],
  ): Promise<{ readonly rows: Row[] }>
}
