/**
 * PermFS on an AclFS. Where a list is rich no mode is true, so getMode is refused; setMode could be obeyed, but would
 * destroy the list, so it is refused, too. The first is needed, the second is policy: `upstart check` tells them apart.
 */
import { CallError, type MethodDeclarationInput, type SimulationContext } from '../../../src/index.ts'
import { type AccessList, listOf, type Mode, modeOf } from '../rights.ts'

/** AclFS as its delegate. */
interface Delegate {
  create(path: string, owner: string): Promise<boolean>
  write(path: string, text: string): Promise<boolean>
  remove(path: string): Promise<boolean>
  setOwner(path: string, owner: string): Promise<boolean>
  setAcl(path: string, list: AccessList): Promise<boolean>
  read(path: string): Promise<string | null>
  list(path: string): Promise<string[]>
  getOwner(path: string): Promise<string | null>
  getAcl(path: string): Promise<AccessList | null>
}

const observer: MethodDeclarationInput = { kind: 'observer', stateless: true }
const mutator: MethodDeclarationInput = { kind: 'mutator', stateless: true }

export default class PastPermFS {
  static methods: Record<string, MethodDeclarationInput> = {
    create: mutator,
    write: mutator,
    remove: mutator,
    setOwner: mutator,
    // It looks before it sets: two delegate calls.
    setMode: 'mutator',
    read: observer,
    list: observer,
    getOwner: observer,
    getMode: observer
  }
  readonly #files: Delegate
  constructor({ delegate }: SimulationContext<Delegate>) {
    this.#files = delegate
  }

  create(path: string, owner: string) {
    return this.#files.create(path, owner)
  }
  write(path: string, text: string) {
    return this.#files.write(path, text)
  }
  remove(path: string) {
    return this.#files.remove(path)
  }
  setOwner(path: string, owner: string) {
    return this.#files.setOwner(path, owner)
  }
  async setMode(path: string, mode: Mode) {
    if ((await this.getMode(path)) === null) return false
    return await this.#files.setAcl(path, listOf(mode))
  }
  read(path: string) {
    return this.#files.read(path)
  }
  list(path: string) {
    return this.#files.list(path)
  }
  getOwner(path: string) {
    return this.#files.getOwner(path)
  }
  async getMode(path: string) {
    const list = await this.#files.getAcl(path)
    if (list === null) return null
    const mode = modeOf(list)
    if (mode === null)
      throw new CallError('Disallowed', `no mode says who may use ${path}; ask for its access list at version 2`)
    return mode
  }
}
