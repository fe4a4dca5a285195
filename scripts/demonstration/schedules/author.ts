/** Upgrades as an author writes them, one for each schedule that is shown: the same counter again, with another schedule. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

export const OBJECT = 'Counter'

export interface Authored {
  version: number
  description: string
  /** The schedule as source text; null: version 1, which has none. */
  schedule: string | null
  /** A class that this version brings, called Reader; its schedule as source text. */
  reader?: string
  /** No object of it proves its health. */
  broken?: boolean
  /** Further modules: name → text. */
  modules?: Readonly<Record<string, string>>
}

const object = (broken: boolean): string => `import type { ObjectContext } from 'upstart-peer'

export default class Counter {
  static methods = { add: 'mutator', total: 'observer' } as const
  readonly context: ObjectContext
  constructor(context: ObjectContext) {
    this.context = context
  }
  add(): void {
    this.context.state.put('total', this.total() + 1)
  }
  total(): number {
    return Number(this.context.state.get('total') ?? 0)
  }${broken ? "\n  health(): void {\n    throw new Error('this version is out of order')\n  }" : ''}
}
`

/** Writes `upgrade.ts` and its modules. @returns their directory */
export async function author(directory: string, upgrade: Authored): Promise<string> {
  const { version, description, schedule, reader, broken = false, modules = {} } = upgrade
  const folder = join(directory, `v${version}`)
  const more = schedule === null ? '' : `\n      past: 'subtype',\n      schedule: ${schedule}`
  const another =
    reader === undefined ? '' : `,\n    Reader: { new: true, object: './counter.ts', schedule: ${reader} }`
  const imports = ['defineUpgrade', ...combinatorsIn(`${schedule} ${reader}`)].sort().join(', ')
  const text = `import { ${imports} } from 'upstart-peer'

export default defineUpgrade({
  version: ${version},
  description: '${description}',
  classes: {
    ${OBJECT}: {
      object: './counter.ts',${more}
    }${another}
  }
})
`
  await mkdir(folder, { recursive: true })
  const files = { ...modules, 'counter.ts': object(broken), 'upgrade.ts': text }
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content)
  return folder
}

/** Names of the functions that a schedule is made with. */
export function combinatorsIn(schedule: string): string[] {
  return [...new Set([...schedule.matchAll(/\b([a-zA-Z]+)\(/g)].map((found) => found[1]!))]
}
