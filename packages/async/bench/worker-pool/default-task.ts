/** tinypool calls the default export. */
// oxlint-disable-next-line import/no-default-export -- as said.
export { addPair as default } from './tasks.ts'
