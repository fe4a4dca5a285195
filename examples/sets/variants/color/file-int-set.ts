/** IntSet that keeps its elements in files: no transaction holds them and the table of an SO together. */
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ObjectContext } from '../../../../src/index.ts'

export default class FileIntSet {
  static methods = { insert: 'mutator', delete: 'mutator', contains: 'observer' } as const
  readonly context: ObjectContext
  constructor(context: ObjectContext) {
    this.context = context
  }
  insert(x: number) {
    writeFileSync(this.#path(x), '')
  }
  delete(x: number) {
    rmSync(this.#path(x), { force: true })
  }
  contains(x: number) {
    return existsSync(this.#path(x))
  }
  #path(x: number): string {
    return join(this.context.directory, String(x))
  }
}
