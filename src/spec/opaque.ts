/**
 * Texts that mean nothing beside being equal or not: ids, stamps, versions (SPEC Q24). The code makes them by chance and
 * time; a model has names of its own for them, and the check holds one against the other by who is equal to whom.
 */
import { keyOf } from './plain.ts'

const MARK = '◇'
const FRESH = `${MARK}?`
/** Names in what `keyOf` writes. */
const NAMES = new RegExp(`"${MARK}[^"]*"`, 'g')

/** In a model's effect or result, the opaque text that this call makes; several of one call have names. */
export const fresh = (name = ''): string => FRESH + name

/** A plain value with other names; itself if nothing is named otherwise. */
export function renamed<Value>(value: Value, by: (name: string) => string): Value
export function renamed(value: unknown, by: (name: string) => string): unknown {
  if (typeof value === 'string') return value.startsWith(MARK) ? by(value) : value
  if (typeof value !== 'object' || value === null) return value
  const made = <One>(members: One[], make: (members: One[]) => unknown): unknown => {
    const changed = members.map((one) => renamed(one, by))
    return changed.every((one, at) => one === members[at]) ? value : make(changed)
  }
  if (Array.isArray(value)) return made(value, (all) => all)
  if (value instanceof Set) return made([...value], (all) => new Set(all))
  if (value instanceof Map) return made([...value], (all) => new Map(all))
  return made(Object.entries(value), Object.fromEntries)
}

/** What a call makes gets a name. */
export const settled = <Value>(value: Value, name: string): Value =>
  renamed(value, (one) => (one.startsWith(FRESH) ? `${MARK}${name}${one.slice(FRESH.length)}` : one))

/** A name that these states do not have. */
export function unusedIn(...states: readonly unknown[]): string {
  const used = new Set(states.flatMap((state) => keyOf(state).match(NAMES) ?? []))
  let number = 1
  while (used.has(`"${MARK}${number}"`)) number += 1
  return String(number)
}

/** A key by which states are one that differ only in their names. */
export function canonical(key: string): string {
  if (!key.includes(MARK)) return key
  const names = new Map<string, string>()
  return key.replace(NAMES, (name) => {
    const known = names.get(name) ?? `"${MARK}${names.size + 1}"`
    names.set(name, known)
    return known
  })
}

/** A key that says of opaque texts only that they are there. */
export const erased = (key: string): string => (key.includes(MARK) ? key.replace(NAMES, `"${MARK}"`) : key)

/** The model's names and those of what the code answered, each of one of the other. */
export type Names = ReadonlyMap<string, string>

/** @returns the names with those that follow from equal answers; null if the answers are not equal */
export function unified(wanted: string, got: string, names: Names): Names | null {
  if (wanted === got && !wanted.includes(MARK)) return names
  if (erased(wanted) !== erased(got)) return null
  const known = new Map(names)
  const others = got.match(NAMES) ?? []
  for (const [at, name] of (wanted.match(NAMES) ?? []).entries()) {
    const other = others[at]!
    if ((known.get(name) ?? other) !== other) return null
    if (!known.has(name) && [...known.values()].includes(other)) return null
    known.set(name, other)
  }
  return known
}

/** What must be answered, in the names of what was. */
export const shown = (wanted: string, names: Names): string =>
  wanted.replace(NAMES, (name) => names.get(name) ?? `"${MARK}new"`)

/** Opaque texts of one history in the order in which they were answered. */
export class Answered {
  readonly #pattern: RegExp
  readonly #names = new Map<string, string>()
  readonly #texts = new Map<string, string>()

  constructor(pattern: RegExp) {
    this.#pattern = pattern
  }

  /** An answer of the code with names instead of its opaque texts. */
  named<Value>(answer: Value): Value {
    const mark = (text: string): string => {
      const known = this.#names.get(text) ?? `${MARK}${this.#names.size + 1}`
      this.#names.set(text, known)
      this.#texts.set(known, text)
      return known
    }
    return mapped(answer, (text) => (this.#pattern.test(text) ? mark(text) : text)) as Value
  }

  /** Arguments as the code knows them; null if nobody was given one of them. */
  real(args: readonly unknown[], names: Names): readonly unknown[] | null {
    let isKnown = true
    const real = args.map((arg) =>
      renamed(arg, (name) => {
        const text = this.#texts.get(JSON.parse(names.get(JSON.stringify(name)) ?? '""') as string)
        isKnown &&= text !== undefined
        return text ?? name
      })
    )
    return isKnown ? real : null
  }
}

/** Answers are JSON. */
const mapped = (value: unknown, by: (text: string) => string): unknown =>
  typeof value === 'string'
    ? by(value)
    : typeof value === 'object' && value !== null
      ? Array.isArray(value)
        ? value.map((one) => mapped(one, by))
        : Object.fromEntries(Object.entries(value).map(([key, one]) => [key, mapped(one, by)]))
      : value
