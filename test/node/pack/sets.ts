/** The sets of the founding method as upgrade directories on disk: version 1, and version 2 with colours. */
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

export type Sources = Record<string, string>

export const INT_SET: Sources = {
  'upgrade.ts': `import { defineUpgrade } from 'upstart-peer'
export default defineUpgrade({ version: 1, description: 'sets of numbers', classes: { IntSet: { object: './int-set.ts' } } })
`,
  'int-set.ts': `import type { ObjectContext } from 'upstart-peer'
export default class IntSet {
  static methods = { insert: 'mutator', delete: 'mutator', contains: 'observer' } as const
  context: ObjectContext
  constructor (context: ObjectContext) { this.context = context }
  insert (x: number) { this.context.state.put(String(x), true) }
  delete (x: number) { this.context.state.delete(String(x)) }
  contains (x: number) { return this.context.state.get(String(x)) === true }
}
`
}

export const COLOR_SET: Sources = {
  'upgrade.ts': `import { after, defineUpgrade, rolling } from 'upstart-peer'
export default defineUpgrade({
  version: 2,
  description: 'sets whose elements have colours',
  classes: {
    IntSet: {
      becomes: 'ColorSet',
      object: './color-set.ts',
      transform: './transform.ts',
      future: './v1/future.ts',
      past: './past.ts',
      schedule: { when: after({ delay: '1s' }), constraints: [rolling({ by: 'group', unavailable: 1 })] }
    }
  }
})
`,
  'color-set.ts': `import { absent } from './absent.ts'
export default class ColorSet {
  static methods = { insertColor: 'mutator', delete: 'mutator', contains: 'observer', getColor: { kind: 'observer', concurrent: true } }
  static calls = { IntSet: 1 }
  insertColor () {}
  delete () {}
  contains () {}
  getColor () { return absent }
}
`,
  'absent.ts': 'export const absent = "none"\n',
  'transform.ts': 'export default async function transform () {}\n',
  'v1/future.ts': `import { CallError } from 'upstart-peer'
class Base { contains () {} }
export default class Future extends Base {
  static methods = { insertColor: 'mutator', delete: 'mutator', contains: 'observer', getColor: 'observer' }
  static intercepts = ['delete']
  insertColor () { throw new CallError('Disallowed', 'red') }
  delete () {}
  getColor () {}
}
`,
  'past.ts': `export default class Past {
  static methods = { insert: 'mutator', delete: 'mutator', contains: 'observer' }
  insert () {}
  delete () {}
  contains () {}
}
`
}

export async function writeSources(directory: string, sources: Sources): Promise<string> {
  for (const [name, text] of Object.entries(sources)) {
    await mkdir(dirname(join(directory, name)), { recursive: true })
    await writeFile(join(directory, name), text)
  }
  return directory
}
