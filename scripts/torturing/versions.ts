/** Version after version of one class, by the recipe of test/fixtures/tower: each is incompatible with the one before. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

const SRC = join(import.meta.dirname, '../../src/index.ts')
const PARTS = join(import.meta.dirname, '../../test/fixtures/tower/parts.ts')

export const CLASS = 'AttributeSet'

/** @returns the directory with the sources of `version` */
export async function writeVersion(directory: string, version: number): Promise<string> {
  const source = join(directory, `v${version}`)
  await mkdir(source, { recursive: true })
  const part = (name: string, recipe: string, of: number) =>
    writeFile(join(source, `${name}.ts`), `import { ${recipe} } from '${PARTS}'\nexport default ${recipe}(${of})\n`)
  await part('object', 'objectOf', version)
  if (version > 1) {
    await part('transform', 'transformTo', version)
    await part('future', 'futureOf', version)
    await part('past', 'pastOf', version - 1)
  }
  const modules = version === 1 ? '' : "transform: './transform.ts', future: './future.ts', past: './past.ts', "
  const schedule = "schedule: { when: immediately(), constraints: [rolling({ by: 'group', unavailable: 1 })] }"
  const classes = `{ ${CLASS}: { object: './object.ts', ${modules}${schedule} } }`
  const lines = [
    `import { defineUpgrade, immediately, rolling } from '${SRC}'`,
    `export default defineUpgrade({ version: ${version}, description: 'version ${version}', classes: ${classes} })`
  ]
  await writeFile(join(source, 'upgrade.ts'), `${lines.join('\n')}\n`)
  return source
}
