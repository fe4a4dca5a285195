/** PermFS → AclFS of the model: a mode says what its list says, and nothing where the list is rich. */
import { alike, defineSpec, defineType, type Kinds, oneOf, undetermined } from '../../../src/spec/index.ts'

const path = alike('a', 'b')
const maker = oneOf('ann')
const owner = oneOf('bob')
const text = oneOf('one')
const mode = oneOf(0o60, 0o64)
/** What mode 60 says, what mode 64 says, and what no mode says. */
const list = oneOf<List>({ owner: 6 }, { owner: 6, everyone: 4 }, { owner: 6, everyone: 4, carol: 4 })

type List = Readonly<Record<string, number>>
type Files<File> = Readonly<Record<string, File>>
interface Common {
  readonly owner: string
  readonly text: string
}
/** ⊥: the list is rich, and nobody may be told a mode. */
type PermFile = Common & { readonly mode: number | typeof undetermined }
type AclFile = Common & { readonly list: List }

const isRich = (list: List) => Object.keys(list).some((name) => name !== 'owner' && name !== 'everyone')
const whole = (list: List): List => ({ owner: 0, everyone: 0, ...list })
const listOf = (mode: number): List => ({ owner: Math.floor(mode / 8), everyone: mode % 8 })
const modeOf = (list: List) => (isRich(list) ? undetermined : (list.owner ?? 0) * 8 + (list.everyone ?? 0))

const change = <File>(files: Files<File>, name: string, changed: Partial<File>): Files<File> =>
  name in files ? { ...files, [name]: { ...files[name]!, ...changed } } : files
const without = <File>(files: Files<File>, name: string): Files<File> =>
  Object.fromEntries(Object.entries(files).filter(([one]) => one !== name))
const withNew = <File extends Common>(files: Files<File>, name: string, file: File): Files<File> =>
  name in files ? files : { ...files, [name]: file }
const added = <Rights>(owner: string, rights: Rights) => ({ owner, text: '', ...rights })
const there = (files: Files<unknown>, name: string) => name in files

/** What has nothing to do with rights is one and the same in both types. */
const common = <File extends Common, Rights>({ observer, mutator }: Kinds<Files<File>>, usual: Rights) => ({
  create: mutator(
    [path, maker],
    (files, name, by) => withNew(files, name, added(by, usual) as unknown as File),
    (files, name) => !there(files, name)
  ),
  write: mutator([path, text], (files, name, text) => change(files, name, { text } as Partial<File>), there),
  remove: mutator([path], without, there),
  setOwner: mutator([path, owner], (files, name, owner) => change(files, name, { owner } as Partial<File>), there),
  read: observer([path], (files, name) => files[name]?.text ?? null),
  list: observer([oneOf('')], (files) => Object.keys(files).sort()),
  getOwner: observer([path], (files, name) => files[name]?.owner ?? null)
})

const PermFS = defineType({
  initial: {} as Files<PermFile>,
  methods: (kinds) => ({
    ...common<PermFile, { mode: number }>(kinds, { mode: 0o64 }),
    setMode: kinds.mutator([path, mode], (files, name, mode) => change(files, name, { mode }), there),
    getMode: kinds.observer([path], (files, name) => files[name]?.mode ?? null)
  })
})

const AclFS = defineType({
  initial: {} as Files<AclFile>,
  methods: (kinds) => ({
    ...common<AclFile, { list: List }>(kinds, { list: listOf(0o64) }),
    setAcl: kinds.mutator([path, list], (files, name, list) => change(files, name, { list: whole(list) }), there),
    getAcl: kinds.observer([path], (files, name) => files[name]?.list ?? null)
  })
})

/** What a change of the one means for the other, rights left aside, is the same change. */
const shadows = <File extends Common>(usual: object) => ({
  create: (files: Files<File>, name: string, by: string) => withNew(files, name, added(by, usual) as unknown as File),
  write: (files: Files<File>, name: string, text: string) => change(files, name, { text } as Partial<File>),
  remove: (files: Files<File>, name: string) => without(files, name),
  setOwner: (files: Files<File>, name: string, owner: string) => change(files, name, { owner } as Partial<File>)
})

const isRichIn = (files: Files<AclFile>, name: string) => name in files && isRich(files[name]!.list)

export default defineSpec({
  old: PermFS,
  new: AclFS,
  invariant: (perm, acl) =>
    Object.keys(perm).length === Object.keys(acl).length &&
    Object.entries(perm).every(([name, file]) => {
      const other = acl[name]
      return (
        other !== undefined &&
        file.owner === other.owner &&
        file.text === other.text &&
        file.mode === modeOf(other.list)
      )
    }),
  mapping: (perm) =>
    Object.fromEntries(
      Object.entries(perm).map(([name, { mode, ...file }]) => [name, { ...file, list: listOf(mode as number) }])
    ),
  shadows: {
    old: {
      ...shadows<PermFile>({ mode: 0o64 }),
      setAcl: (files, name, list) => change(files, name, { mode: modeOf(list) })
    },
    new: {
      ...shadows<AclFile>({ list: listOf(0o64) }),
      setMode: (files, name, mode) => change(files, name, { list: listOf(mode) })
    }
  },
  disallows: {
    before: { setAcl: (_perm, acl, name, list) => name in acl && isRich(list) },
    after: { getMode: (_perm, acl, name) => isRichIn(acl, name), setMode: (_perm, acl, name) => isRichIn(acl, name) }
  }
})
