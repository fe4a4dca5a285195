/**
 * Author's modules → self-contained ES modules (SPEC U9), by esbuild. Packages are bundled, so that a node needs nothing
 * beside the bundle; `upstart-peer` is this very package, wherever it is installed, under names that do not depend on
 * the machine: whoever packs the same sources gets the same bytes.
 */
import { readFile } from 'node:fs/promises'
import { dirname, extname, join, relative, resolve } from 'node:path'
import { build, type OutputFile, type Plugin } from 'esbuild'
import { Refusal } from '../../src/errors.ts'
import { pathSchema } from '../../src/names.ts'

/** `.ts` in a checkout, `.js` in an installed package. */
export const EXTENSION = extname(import.meta.filename)
const CORE = resolve(import.meta.dirname, '../../src')

/** Modules of this package that nobody uses fall away: an object that throws a CallError brings one class, not zod. */
const ownPackage: Plugin = {
  name: 'upstart-peer',
  setup({ onResolve, onLoad }) {
    const core = (path: string) => ({ path, namespace: 'upstart-peer', sideEffects: false })
    onResolve({ filter: /^upstart-peer$/ }, () => core(`index${EXTENSION}`))
    onResolve({ filter: /^upstart-peer\/spec$/ }, () => core(`spec/index${EXTENSION}`))
    onResolve({ filter: /^\./, namespace: 'upstart-peer' }, ({ importer, path }) => core(join(dirname(importer), path)))
    // The examples of this repository import its sources by path; they get the same module as everybody else.
    onResolve({ filter: /^\.\.?\//, namespace: 'file' }, ({ resolveDir, path }) => {
      const inside = relative(CORE, join(resolveDir, path))
      return inside.startsWith('..') ? null : core(inside)
    })
    onLoad({ filter: /.*/, namespace: 'upstart-peer' }, async ({ path }) => ({
      contents: await readFile(join(CORE, path), 'utf8'),
      loader: EXTENSION === '.ts' ? 'ts' : 'js',
      resolveDir: dirname(join(CORE, path))
    }))
  }
}

/** './v2/past.ts' → 'v2/past.js': its place in the bundle. */
export function bundledPath(module: string): string {
  const path = module.replace(/^\.\//, '').replace(/\.[cm]?[jt]s$/, '.js')
  if (!pathSchema.safeParse(path).success || !path.endsWith('.js')) {
    throw new Refusal(
      'UnsafePath',
      `module ${module}: name a .ts or .js file beside or below upgrade.ts, of plain letters`
    )
  }
  return path
}

/**
 * @param directory where `upgrade.ts` lies
 * @param modules paths relative to it
 * @returns place in the bundle → built module
 */
export async function buildModules(directory: string, modules: readonly string[]): Promise<Map<string, Uint8Array>> {
  const entries = new Map<string, string>()
  for (const module of modules) {
    const path = bundledPath(module)
    const other = entries.get(path)
    if (other !== undefined && other !== module) {
      throw new Refusal('UnsafePath', `modules ${other} and ${module} would both become ${path}; rename one of them`)
    }
    entries.set(path, module)
  }
  const outdir = join(directory, 'out')
  let outputs: OutputFile[]
  try {
    const built = await build({
      absWorkingDir: directory,
      entryPoints: [...entries].map(([path, module]) => ({ in: module, out: path.replace(/\.js$/, '') })),
      outdir,
      write: false,
      bundle: true,
      platform: 'node',
      format: 'esm',
      target: 'node24',
      legalComments: 'none',
      logLevel: 'silent',
      plugins: [ownPackage],
      // Packages in CommonJS call `require`, which ES modules lack.
      banner: {
        js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);"
      }
    })
    outputs = built.outputFiles
  } catch (cause) {
    throw new Refusal('Malformed', `building failed: ${firstOf(cause)}`, { cause })
  }
  return new Map(outputs.map((file) => [relative(outdir, file.path).replaceAll('\\', '/'), file.contents]))
}

/** The first message of a failed build, with its place. */
function firstOf(cause: unknown): string {
  const [first] =
    (cause as { errors?: { text: string; location: { file: string; line: number } | null }[] }).errors ?? []
  if (first === undefined) return (cause as Error).message
  return first.location === null
    ? `${first.text}, which upgrade.ts names`
    : `${first.location.file}:${first.location.line}: ${first.text}`
}
