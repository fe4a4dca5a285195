/**
 * The house rules that a machine can keep (docs/decisions.md, "Style is a test"): import direction, purity of src/,
 * size, no swallowed errors, nothing of one machine in a tracked file, exact versions. Each test names the offenders.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { blank } from './source.ts'

const root = resolve(import.meta.dirname, '..')
const tracked = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z'], {
  cwd: root,
  encoding: 'utf8'
})
  .split('\0')
  .filter((file) => file !== '' && existsSync(join(root, file)) && statSync(join(root, file)).isFile())

interface Source {
  file: string
  text: string
  /** The text with comments and the contents of strings blanked, line for line. */
  code: string
}

const sources: Source[] = tracked
  .filter((file) => /\.(ts|js)$/.test(file))
  .map((file) => {
    const text = readFileSync(join(root, file), 'utf8')
    return { file, text, code: blank(text) }
  })
const under = (...folders: string[]) =>
  sources.filter(({ file }) => folders.some((folder) => file.startsWith(`${folder}/`)))

const matches = (among: Source[], pattern: RegExp, part: 'code' | 'text' = 'code'): string[] =>
  among.flatMap((source) =>
    source[part].split('\n').flatMap((line, index) => {
      const found = pattern.exec(line)
      return found === null ? [] : [`${source.file}:${index + 1}: ${found[0].trim()}`]
    })
  )

/** Specifiers of static and dynamic imports; of `import type` too, for direction binds types as well. */
const imports = (text: string): string[] =>
  [
    ...text.matchAll(
      /^\s*(?:import|export)\b[^'"`;]*?\bfrom\s*'([^']+)'|^\s*import\s*'([^']+)'|\bimport\(\s*'([^']+)'\s*\)/gm
    )
  ].map((found) => found[1] ?? found[2] ?? found[3] ?? '')

const packageOf = (specifier: string) =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')

/** What the sans-IO core may import from outside, and why that is neither I/O, nor a clock, nor entropy. */
const CORE_MAY_IMPORT: Record<string, { by: string; because: string }> = {
  zod: { by: 'src/', because: 'pure validation' },
  'cbor-x': { by: 'src/', because: 'pure encoding' },
  uint8arrays: { by: 'src/', because: 'pure functions of bytes' },
  '@tufjs/models': { by: 'src/upgrade/', because: 'verifies signed metadata, synchronously' },
  '@tufjs/canonical-json': { by: 'src/upgrade/', because: 'pure encoding' },
  croner: { by: 'src/schedule/', because: 'computes times from a time that is given' },
  'fast-check': { by: 'src/spec/', because: 'draws from a seed that is given' },
  'node:crypto': { by: 'src/upgrade/', because: 'hashes and verifies signatures; both are functions of their input' },
  'node:async_hooks': { by: 'src/versions/', because: 'carries the mark of a held object through nested calls' }
}

describe('style', () => {
  it('imports point one way: node → src, sim → src, nothing else', () => {
    const allowed: Record<string, string[]> = { src: ['src'], node: ['node', 'src'], sim: ['sim', 'src'] }
    const wrong = under('src', 'node', 'sim').flatMap(({ file, text }) =>
      imports(text)
        .filter((specifier) => specifier.startsWith('.'))
        .map((specifier) => join(dirname(file), specifier))
        .filter((target) => !allowed[file.split('/')[0] ?? '']?.includes(target.split('/')[0] ?? ''))
        .map((target) => `${file} imports ${target}`)
    )
    assert.deepEqual(wrong, [])
  })

  it('src imports nothing that does I/O', () => {
    const wrong = under('src').flatMap(({ file, text }) =>
      imports(text)
        .filter((specifier) => !specifier.startsWith('.'))
        .filter((specifier) => !file.startsWith(CORE_MAY_IMPORT[packageOf(specifier)]?.by ?? 'nothing may'))
        .map((specifier) => `${file} imports ${specifier}`)
    )
    assert.deepEqual(wrong, [])
  })

  it('src has no clock, no entropy, no timer, no environment', () => {
    const impure =
      /\b(Date\.now|new Date\(\)|Math\.random|performance\b|setTimeout|setInterval|setImmediate|queueMicrotask|process\.|console\.|randomBytes|randomUUID|randomInt|getRandomValues)/
    assert.deepEqual(matches(under('src'), impure), [])
  })

  it('the overlay and schedules hold no promises', () => {
    assert.deepEqual(matches(under('src/overlay', 'src/schedule'), /\b(async|await|Promise)\b/), [])
  })

  it('no source is longer than 500 lines', () => {
    const long = sources
      .map(({ file, text }) => ({ file, lines: text.split('\n').length }))
      .filter(({ lines }) => lines > 500)
    assert.deepEqual(long, [])
  })

  it('the linter bounds the length of functions', () => {
    const { linter } = JSON.parse(readFileSync(join(root, 'biome.json'), 'utf8'))
    assert.equal(linter.rules.complexity.noExcessiveLinesPerFunction.level, 'error')
    assert.ok(linter.rules.complexity.noExcessiveLinesPerFunction.options.maxLines <= 70)
    assert.deepEqual(
      matches(under('src', 'node', 'sim'), /biome-ignore lint\/complexity\/noExcessiveLines/, 'text'),
      []
    )
  })

  it('no error is swallowed', () => {
    const product = under('src', 'node', 'sim', 'scripts', 'examples')
    const empty = product.filter(({ code }) => /\bcatch\s*(\([^)]*\))?\s*\{\s*\}/.test(code)).map(({ file }) => file)
    assert.deepEqual(empty, [])
    // A promise whose failure is reported elsewhere may be silenced; the comment above it says by whom.
    const unreported = product.map(({ file, text, code }) => {
      const lines = text.split('\n')
      const reported = (index: number) =>
        /\breported by\b/.test(lines.slice(Math.max(0, index - 2), index + 1).join(' '))
      const rest = code.split('\n').map((line, index) => (reported(index) ? '' : line))
      return { file, text, code: rest.join('\n') }
    })
    assert.deepEqual(matches(unreported, /\.catch\(\s*(\([^)]*\)|\w+)\s*=>\s*(\{\s*\}|undefined|null|void 0)\s*\)/), [])
  })

  it('nothing is left to do later, and no test is left out', () => {
    assert.deepEqual(
      matches(
        sources,
        new RegExp(`\\b(${['TO', 'DO'].join('')}|${['FIX', 'ME'].join('')}|${'X'.repeat(3)})\\b`),
        'text'
      ),
      []
    )
    assert.deepEqual(matches(under('test'), /\b(describe|it|context|suite|test)\.(skip|only)\(|\bx(it|describe)\(/), [])
  })

  it('a test skips itself only for what a machine may lack, and says so', () => {
    const unexplained = under('test').flatMap(({ file, text }) =>
      text
        .split('\n')
        .flatMap((line, index) =>
          /\bthis\.skip\(\)/.test(line) && !/\/\/ lacks: \w+/.test(line) ? [`${file}:${index + 1}`] : []
        )
    )
    assert.deepEqual(unexplained, [])
  })

  it('files are named by nouns of the model', () => {
    const vague = tracked.filter((file) =>
      /(^|[/-])(manager|helpers?|utils?|data|info|misc|common)([.-]|\/|$)/i.test(file)
    )
    assert.deepEqual(vague, [])
  })

  it('no tracked file knows a machine or a registry', () => {
    const folders = ['home', 'root', 'Users', 'work'].map((folder) => `/${folder}/`)
    const hosts = ['registry.npmjs', 'registry.yarnpkg', 'npmmirror', 'artifactory']
    const pattern = new RegExp(
      `(?<![\\w.)$}-])(${folders.join('|')})|${hosts.map((host) => host.replace('.', '\\.')).join('|')}`
    )
    const offenders = tracked
      .filter((file) => file !== 'test/style.test.ts' && !/\.(sqlite|png|svg|tar|bin)$/.test(file))
      .filter((file) => pattern.test(readFileSync(join(root, file), 'utf8')))
    assert.deepEqual(offenders, [])
  })

  it('the lock file has integrity for every package and download addresses for none', () => {
    const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
      packages: Record<string, { resolved?: string; integrity?: string; link?: boolean }>
    }
    const fetched = Object.entries(lock.packages).filter(
      ([path, one]) => path.includes('node_modules/') && one.link !== true
    )
    assert.ok(fetched.length > 100)
    assert.deepEqual(
      fetched.filter(([, one]) => one.resolved !== undefined).map(([path]) => path),
      []
    )
    assert.deepEqual(
      fetched.filter(([, one]) => one.integrity === undefined).map(([path]) => path),
      []
    )
  })

  it('the lock file has every platform, so that `npm ci` works on all of them', () => {
    const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
      packages: Record<string, { optionalDependencies?: Record<string, string> }>
    }
    const named = Object.values(lock.packages).flatMap((one) => Object.keys(one.optionalDependencies ?? {}))
    const lacking = named.filter(
      (name) => !Object.keys(lock.packages).some((path) => path.endsWith(`node_modules/${name}`))
    )
    assert.ok(named.length > 20)
    assert.deepEqual(lacking, [])
  })

  it('versions are pinned exactly', () => {
    for (const file of ['package.json', 'scripts/runtime/package.json']) {
      const manifest = JSON.parse(readFileSync(join(root, file), 'utf8')) as Record<
        string,
        Record<string, string> | undefined
      >
      const pins = { ...manifest.dependencies, ...manifest.devDependencies, ...manifest.optionalDependencies }
      const loose = Object.entries(pins).filter(([, pin]) => !/^(npm:@?[\w./-]+@)?\d+\.\d+\.\d+$/.test(pin))
      assert.deepEqual(loose, [], file)
    }
  })
})
