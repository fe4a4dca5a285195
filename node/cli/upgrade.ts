/** `upstart pack`: from an author's directory to an upgrade file (SPEC C5). */
import type { Command } from 'commander'
import { Refusal } from '../../src/errors.ts'
import type { Envelope } from '../../src/upgrade/entry.ts'
import type { Manifest } from '../../src/upgrade/manifest.ts'
import { openUpgradeFile } from '../pack/file.ts'
import { findUpgrade, pack, readDefinition } from '../pack/pack.ts'
import { checkSource, isWrong } from './check.ts'
import { type Answer, answering, type Terminal } from './command.ts'
import {
  asOption,
  expiry,
  outOption,
  readSigners,
  readTrust,
  rootOption,
  type SigningOptions,
  several,
  signOption,
  signWithOption
} from './options.ts'

interface PackCommandOptions extends SigningOptions {
  root: string
  parent?: string[]
  rival?: string[]
  check: boolean
  expires: string
  out?: string
}

async function readParent(path: string): Promise<Envelope<Manifest>> {
  const file = await openUpgradeFile(path)
  await file.close()
  return file.envelope
}

/** Q12: what the short check found in order; undefined without specifications. @throws Refusal CheckFailed */
async function checkedBefore(
  source: string,
  parents: readonly string[],
  terminal: Terminal
): Promise<Manifest['checked']> {
  const definition = await readDefinition(await findUpgrade(source))
  if (definition.classes.every((one) => one.from === null || one.spec === null)) return undefined
  const options = { parent: [...parents], effort: 'short', seed: '1' }
  const { reports } = await checkSource(source, options, (text) => terminal.progress?.(text))
  const wrong = reports.find(isWrong)
  if (wrong !== undefined) {
    const again = `upstart check ${source}${parents.map((path) => ` --parent ${path}`).join('')}`
    throw new Refusal(
      'CheckFailed',
      `class ${wrong.becomes} does not do what its specification says; "${again}" shows how (pack it all the same with --no-check)`
    )
  }
  const passes = reports.flatMap((one) => one.check?.passes ?? [])
  const sum = (of: 'histories' | 'calls') => passes.reduce((all, pass) => all + pass[of], 0)
  const classes = reports.filter((one) => one.check !== null).map((one) => one.becomes)
  return { classes, histories: sum('histories'), calls: sum('calls'), seed: Number(options.seed) }
}

async function packCommand(source: string, options: PackCommandOptions, terminal: Terminal): Promise<Answer> {
  const trust = await readTrust(options.root)
  const parents = await Promise.all((options.parent ?? []).map(readParent))
  parents.sort((a, b) => a.content.version - b.content.version)
  const version = (parents.at(-1)?.content.version ?? 0) + 1
  const signers = await readSigners(options)
  const checked = options.check ? await checkedBefore(source, options.parent ?? [], terminal) : undefined
  const packed = await pack({
    source,
    checked,
    fleet: trust.fleet,
    parents,
    rivals: await Promise.all((options.rival ?? []).map(readParent)),
    expiresMs: expiry(options.expires, Date.now()),
    out: options.out ?? `v${version}.upgrade`,
    signers
  })
  const { path, hash, manifest, warnings } = packed
  const classes = manifest.classes.map(({ from, to }) =>
    from === null ? `${to} (new)` : from === to ? to : `${from} → ${to}`
  )
  const lines = [
    `${path}: version ${manifest.version}, ${classes.join(', ')}; bundle of ${manifest.bundle.length} bytes; entry ${hash}`
  ]
  if (checked !== undefined)
    lines.push(
      `checked: ${checked.classes.join(', ')}, ${checked.histories} histories, ${checked.calls} calls, nothing wrong`
    )
  for (const warning of warnings) lines.push(`note: ${warning}`)
  if (signers.length === 0) lines.push(`next: upstart sign ${path} --key KEYFILE`)
  return {
    json: {
      path,
      version: manifest.version,
      hash,
      parent: manifest.parent,
      classes: manifest.classes.map(({ from, to }) => ({ from, to })),
      bundle: { length: manifest.bundle.length, pieces: manifest.bundle.pieces.length, sha256: manifest.bundle.sha256 },
      signatures: signers.length,
      checked: checked ?? null,
      warnings
    },
    text: lines.join('\n')
  }
}

export function upgradeCommands(program: Command, terminal: Terminal): void {
  answering<PackCommandOptions>(
    program
      .command('pack')
      .description('bundle an upgrade: the directory of upgrade.ts, or the file itself')
      .argument('<source>')
      .addOption(rootOption())
      .option('--parent <file>', 'upgrade file of the version before (with older ones if it lacks a class)', several)
      .option('--rival <file>', 'upgrade file on another branch of a fork, which this one replaces', several)
      .option('--no-check', 'do not hold the code against its specification first')
      .option('--expires <time>', 'until when it may first be injected', '30d')
      .addOption(signOption())
      .addOption(signWithOption())
      .addOption(asOption())
      .addOption(outOption('the upgrade file to write (default: vN.upgrade)')),
    terminal,
    (options, [source]) => packCommand(source!, options, terminal)
  )
}
