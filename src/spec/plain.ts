/** Plain values told apart by what they hold: the order of keys, and that of members of sets and maps, means nothing. */

/** Equal texts, equal values. Absent, undefined and null are one: a call that answers nothing answers null. */
export function keyOf(value: unknown): string {
  if (value === null || value === undefined) return 'null'
  if (typeof value === 'bigint') return `${value}n`
  if (typeof value !== 'object') return JSON.stringify(value) ?? String(value)
  if (Array.isArray(value)) return `[${value.map(keyOf).join()}]`
  if (value instanceof Set) return `set(${[...value].map(keyOf).sort().join()})`
  if (value instanceof Map)
    return `map(${[...value]
      .map(([key, one]) => `${keyOf(key)}:${keyOf(one)}`)
      .sort()
      .join()})`
  if (value instanceof Date) return `date(${value.getTime()})`
  if (value instanceof Uint8Array) return `bytes(${value.join()})`
  const entries = Object.entries(value).filter(([, one]) => one !== undefined && one !== null)
  return `{${entries
    .map(([key, one]) => `${JSON.stringify(key)}:${keyOf(one)}`)
    .sort()
    .join()}}`
}

export const same = (a: unknown, b: unknown): boolean => keyOf(a) === keyOf(b)
