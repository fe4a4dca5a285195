/** PermFS of the model: files with contents, owners and modes. It keeps modes for others to obey, and enforces none. */
import type { MethodDeclarationInput, ObjectContext } from '../../../src/index.ts'
import { checkedMode, type Mode, USUAL_MODE } from '../rights.ts'
import { Tree } from '../tree.ts'

export const FORMAT = 1

export default class PermFS {
  static methods: Record<string, MethodDeclarationInput> = {
    create: 'mutator',
    write: 'mutator',
    remove: 'mutator',
    setOwner: 'mutator',
    setMode: 'mutator',
    read: 'observer',
    list: 'observer',
    getOwner: 'observer',
    getMode: 'observer'
  }
  readonly #tree: Tree<Mode>
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
    return this.#tree.create(path, owner, USUAL_MODE)
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
  setMode(path: string, mode: Mode) {
    return this.#tree.change(path, { rights: checkedMode(mode) })
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
  async getMode(path: string) {
    return (await this.#tree.entry(path))?.rights ?? null
  }
}
