/** The number of `10`, `10%` or `0.5%`; undefined for a text that is no percentage. */
export function percentOfText(text: string): number | undefined {
  return /^\d{1,3}(\.\d{1,6})?%?$/.test(text) ? Number(text.replace('%', '')) : undefined
}
