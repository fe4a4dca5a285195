/** A duration in the words that operators use: '90s', '10m', '2h', '3d'. */
export function sayDuration(ms: number): string {
  if (ms < 1000) return `${Math.ceil(ms)}ms`
  const seconds = Math.ceil(ms / 1000)
  if (seconds < 120) return `${seconds}s`
  if (seconds < 7200) return `${Math.ceil(seconds / 60)}m`
  if (seconds < 172800) return `${Math.ceil(seconds / 3600)}h`
  return `${Math.ceil(seconds / 86400)}d`
}
