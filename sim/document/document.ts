/** From YAML to a checked document (SPEC M28). Whatever is wrong is named with line, column, field and the mend. */
import {
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  parse as parseYaml,
  type Document as YamlDocument
} from 'yaml'
import { Refusal } from '../../src/errors.ts'
import { type Document, documentSchema } from './schema.ts'

/** A field is not fit for what the rest says, which no schema sees. */
export class Unfit extends Error {
  readonly path: (string | number)[]
  constructor(path: (string | number)[], message: string) {
    super(message)
    this.name = 'Unfit'
    this.path = path
  }
}

/** Somebody else's word about a field: `--peers 300`, `--set network.loss=0.1`. */
export interface Override {
  /** As it was written, for messages. */
  said: string
  path: string
  value: unknown
}

export class ScenarioText {
  readonly #name: string
  readonly #yaml: YamlDocument.Parsed
  readonly #lines = new LineCounter()
  readonly #overrides: readonly Override[]
  readonly plain: unknown

  /** @throws Refusal Malformed: no YAML */
  constructor(name: string, text: string, overrides: readonly Override[] = []) {
    this.#name = name
    this.#yaml = parseDocument(text, { lineCounter: this.#lines, prettyErrors: false, uniqueKeys: true })
    const [error] = this.#yaml.errors
    if (error !== undefined) {
      const { line, col } = this.#lines.linePos(error.pos[0])
      throw new Refusal('Malformed', `${name}: line ${line}, column ${col}: ${error.message.split('\n')[0]}`)
    }
    // An alias may stand for much: a document of a few lines must not become gigabytes.
    const plain: unknown = this.#yaml.toJS({ maxAliasCount: 100 }) ?? {}
    this.#overrides = overrides.map((one) => ({ ...one, path: set(plain, one) }))
    this.plain = plain
  }

  /** @throws Refusal Malformed */
  document(): Document {
    const parsed = documentSchema.safeParse(this.plain)
    if (parsed.success) return parsed.data
    const issue = deepest(parsed.error.issues)
    const path = issue.path as (string | number)[]
    const at = issue.code === 'unrecognized_keys' ? [...path, issue.keys[0]!] : path
    throw this.refusal(at, issue.message)
  }

  refusal(path: readonly (string | number)[], message: string): Refusal {
    const field = path.join('.')
    const override = this.#overrides.findLast(({ path: own }) => field === own || field.startsWith(`${own}.`))
    const where = override?.said ?? `${this.#name}: ${this.#position(path)}`
    return new Refusal('Malformed', `${where}: ${field === '' ? 'the scenario' : field}: ${message}`)
  }

  /** Of the field, or of the nearest one around it that is written. */
  #position(path: readonly (string | number)[]): string {
    let node: unknown = this.#yaml.contents
    let at = rangeOf(node) ?? 0
    for (const step of path) {
      if (isMap(node)) {
        const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === String(step))
        at = rangeOf(pair?.key) ?? at
        node = pair?.value
      } else {
        node = isSeq(node) ? node.items[Number(step)] : undefined
        at = rangeOf(node) ?? at
      }
    }
    const { line, col } = this.#lines.linePos(at)
    return `line ${Math.max(1, line)}, column ${Math.max(1, col)}`
  }
}

const rangeOf = (node: unknown): number | undefined => (node as { range?: [number] } | undefined)?.range?.[0]

interface Issue {
  readonly code?: string | undefined
  readonly path: readonly PropertyKey[]
  readonly message: string
  readonly keys?: readonly string[]
  readonly errors?: readonly (readonly Issue[])[]
}

/** Of a union that nothing fits: what its alternatives say that came furthest, if one came further than the others. */
function deepest(issues: readonly Issue[]): Issue & { keys: readonly string[] } {
  const issue = issues[0]!
  const inner = (issue.errors ?? []).flatMap((alternative) => (alternative.length === 0 ? [] : [deepest(alternative)]))
  const furthest = inner.toSorted((a, b) => b.path.length - a.path.length)[0]
  const kept = furthest !== undefined && furthest.path.length > 0
  const found = kept ? { ...furthest, path: [...issue.path, ...furthest.path] } : issue
  return { ...found, keys: found.keys ?? [''] }
}

/** `last` is the last of a list. Returns the path with its index. */
function set(plain: unknown, { said, path, value }: Override): string {
  const taken: string[] = []
  const steps = path.split('.')
  let at = plain as Record<string, unknown>
  for (const [index, step] of steps.entries()) {
    if (typeof at !== 'object' || at === null)
      throw new Refusal('Usage', `${said}: ${taken.join('.') || 'the scenario'} has no fields`)
    const key = Array.isArray(at) && step === 'last' ? String(Math.max(0, at.length - 1)) : step
    taken.push(key)
    if (index === steps.length - 1) at[key] = value
    else {
      // Fields that have defaults are not there yet; lists of upgrades begin with one.
      at[key] ??= key === 'upgrades' ? [{}] : {}
      at = at[key] as Record<string, unknown>
    }
  }
  return taken.join('.')
}

/** `key=value` as --set and --sweep have it; the value is YAML. @throws Refusal Usage */
export function overrideOf(option: string, path: string, text: string): Override {
  const said = `${option} ${path}=${text}`
  try {
    return { said, path, value: parseYaml(text) as unknown }
  } catch (error) {
    throw new Refusal('Usage', `${said}: the value is no YAML (${(error as Error).message.split('\n')[0]}); quote it`)
  }
}
