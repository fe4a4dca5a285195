/**
 * TF of PermFS → AclFS. The input is a private copy, so its tree becomes the new one by a rename: contents are neither
 * read nor written again, however much they hold, and only the tables are rewritten (SPEC F3).
 */
import { readdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TransformContext } from '../../../src/index.ts'
import { type AccessList, listOf, type Mode } from '../rights.ts'
import { type Entry, readTable, TABLE, tableText } from '../tree.ts'
import { FORMAT as OLD_FORMAT } from '../v1/perm-fs.ts'
import { FORMAT } from './acl-fs.ts'

export default async function transform({ old, new: next, progress }: TransformContext): Promise<void> {
  const tree = join(next.directory, 'tree')
  await rename(join(old.directory, 'tree'), tree)
  const inside = await readdir(tree, { withFileTypes: true, recursive: true })
  const tables = inside.filter((entry) => entry.name === TABLE).map((entry) => entry.parentPath)
  for (const [at, directory] of tables.entries()) {
    const { next: number, files } = await readTable<Mode>(directory, OLD_FORMAT)
    const listed = [...files].map(([name, entry]): [string, Entry<AccessList>] => [
      name,
      { ...entry, rights: listOf(entry.rights) }
    ])
    await writeFile(join(directory, TABLE), tableText({ format: FORMAT, next: number, files: new Map(listed) }))
    progress((at + 1) / tables.length)
  }
}
