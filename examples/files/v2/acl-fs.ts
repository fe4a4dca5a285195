/** AclFS of the model: files with contents, owners and access lists. */
import type { MethodDeclarationInput, ObjectContext } from '../../../src/index.ts'
import { type AccessList, checkedList, listOf, USUAL_MODE } from '../rights.ts'
import { Tree } from '../tree.ts'

export const FORMAT = 2

export default class AclFS {
  static methods: Record<string, MethodDeclarationInput> = {
    create: 'mutator',
    write: 'mutator',
    remove: 'mutator',
    setOwner: 'mutator',
    setAcl: 'mutator',
    read: 'observer',
    list: 'observer',
    getOwner: 'observer',
    getAcl: 'observer'
  }
  readonly #tree: Tree<AccessList>
  constructor({ directory }: ObjectContext) {
    this.#tree = new Tree(directory, FORMAT)
  }
  start() {
    return this.#tree.start()
  }
  flush() {
    return this.#tree.flush()
  }

  create(path: string, owner: string) {
    return this.#tree.create(path, owner, listOf(USUAL_MODE))
  }
  write(path: string, text: string) {
    return this.#tree.write(path, text)
  }
  remove(path: string) {
    return this.#tree.remove(path)
  }
  setOwner(path: string, owner: string) {
    return this.#tree.change(path, { owner })
  }
  setAcl(path: string, list: AccessList) {
    return this.#tree.change(path, { rights: checkedList(list) })
  }
  read(path: string) {
    return this.#tree.read(path)
  }
  list(path: string) {
    return this.#tree.list(path)
  }
  async getOwner(path: string) {
    return (await this.#tree.entry(path))?.owner ?? null
  }
  async getAcl(path: string) {
    return (await this.#tree.entry(path))?.rights ?? null
  }
}
