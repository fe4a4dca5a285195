/** Plain values told apart by what they hold: the order of keys, and that of members of sets and maps, means nothing. */

/** Equal texts, equal values. Absent, undefined and null are one: a call that answers nothing answers null. */
export function keyOf(value: unknown): string {
  if (value === null || value === undefined) return 'null'
  if (typeof value === 'boolean') return value ? 'true' : 'false'
  if (typeof value === 'number') return Number.isFinite(value) ? String(value) : 'null'
  if (typeof value === 'bigint') return `${value}n`
  if (typeof value !== 'object') return JSON.stringify(value) ?? String(value)
  if (Array.isArray(value)) return `[${keysOf(value).join()}]`
  if (value instanceof Set) return `set(${keysOf(value).sort().join()})`
  if (value instanceof Map) return `map(${entriesOf(value).sort().join()})`
  if (value instanceof Date) return `date(${value.getTime()})`
  if (value instanceof Uint8Array) return `bytes(${value.join()})`
  return `{${fieldsOf(value as Record<string, unknown>)
    .sort()
    .join()}}`
}

// Loops, for a check spends most of its time here.
function keysOf(values: Iterable<unknown>): string[] {
  const keys: string[] = []
  for (const value of values) keys.push(keyOf(value))
  return keys
}

function entriesOf(map: ReadonlyMap<unknown, unknown>): string[] {
  const entries: string[] = []
  for (const [key, value] of map) entries.push(`${keyOf(key)}:${keyOf(value)}`)
  return entries
}

function fieldsOf(value: Record<string, unknown>): string[] {
  const fields: string[] = []
  for (const key of Object.keys(value)) {
    const field = value[key]
    if (field !== undefined && field !== null) fields.push(`${JSON.stringify(key)}:${keyOf(field)}`)
  }
  return fields
}

export const same = (a: unknown, b: unknown): boolean => keyOf(a) === keyOf(b)
