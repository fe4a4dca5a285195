/**
 * AclFS on a PermFS. getMode@1 is the current object's and cannot be refused, so a list that no mode expresses must not
 * come to be before the node upgrades: whatever the design, it is refused here.
 */
import { CallError, type MethodDeclarationInput, type SimulationContext } from '../../../src/index.ts'
import { type AccessList, listOf, type Mode, modeOf } from '../rights.ts'

/** PermFS as its delegate. */
interface Delegate {
  create(path: string, owner: string): Promise<boolean>
  write(path: string, text: string): Promise<boolean>
  remove(path: string): Promise<boolean>
  setOwner(path: string, owner: string): Promise<boolean>
  setMode(path: string, mode: Mode): Promise<boolean>
  read(path: string): Promise<string | null>
  list(path: string): Promise<string[]>
  getOwner(path: string): Promise<string | null>
  getMode(path: string): Promise<Mode | null>
}

const observer: MethodDeclarationInput = { kind: 'observer', stateless: true }
const mutator: MethodDeclarationInput = { kind: 'mutator', stateless: true }

export default class FutureAclFS {
  static methods: Record<string, MethodDeclarationInput> = {
    create: mutator,
    write: mutator,
    remove: mutator,
    setOwner: mutator,
    setAcl: mutator,
    read: observer,
    list: observer,
    getOwner: observer,
    getAcl: observer
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
  async setAcl(path: string, list: AccessList) {
    const mode = modeOf(list)
    if (mode !== null) return await this.#files.setMode(path, mode)
    if ((await this.#files.getMode(path)) === null) return false
    throw new CallError(
      'Disallowed',
      'this node still has modes, and no mode says what this list says; try another node, or later'
    )
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
  async getAcl(path: string) {
    const mode = await this.#files.getMode(path)
    return mode === null ? null : listOf(mode)
  }
}
