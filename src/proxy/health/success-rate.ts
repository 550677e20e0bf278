/** Below it a host is an outlier: so many standard deviations less than the mean of all. */
export function successRateThreshold(percents: readonly number[], stdevFactor: number): number {
  const mean = percents.reduce((sum, percent) => sum + percent, 0) / percents.length
  const variance = percents.reduce((sum, percent) => sum + (percent - mean) ** 2, 0) / percents.length
  return mean - stdevFactor * Math.sqrt(variance)
}
