/** kill -9 of each process of a peer in each step of an upgrade (SPEC L3, L20): one peer, one upgrade a case. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startTimeOf } from '../../../node/host/survivors.ts'
import type { Client } from '../../../node/index.ts'
import type { PhaseName } from '../../../src/overlay/record.ts'
import { hostedProcesses } from './hosted-processes.ts'
import { allAt, type Daemon, LiveFleet, until } from './live-fleet.ts'

const FIXTURE = fileURLToPath(new URL('../../fixtures/fleet/gated/', import.meta.url))
const INDEX = fileURLToPath(new URL('../../../src/index.ts', import.meta.url))
const SET = 'GatedSet'

/** `old` and `new`: the object's process of the version before, and of the one that comes. */
type Victim = 'daemon' | 'old' | 'new' | 'transform' | 'all'

interface Case {
  phase: PhaseName
  /** Gate at which the step is held, of the version that comes; none where a pause holds it. */
  gate?: 'import-transform' | 'import-object' | 'transform' | 'busy-transform' | 'start' | 'health' | 'hold' | 'return'
  victims: Victim[]
}

const CASES: Case[] = [
  { phase: 'waiting', victims: ['daemon', 'old'] },
  { phase: 'warming', gate: 'import-transform', victims: ['daemon', 'old', 'transform'] },
  { phase: 'warming', gate: 'import-object', victims: ['new'] },
  { phase: 'draining', gate: 'hold', victims: ['daemon', 'old', 'new', 'transform'] },
  { phase: 'transforming', gate: 'transform', victims: ['all', 'new', 'transform'] },
  { phase: 'transforming', gate: 'busy-transform', victims: ['daemon'] },
  { phase: 'proving', gate: 'start', victims: ['daemon', 'new'] },
  { phase: 'proving', gate: 'health', victims: ['all', 'new'] },
  { phase: 'returning', gate: 'return', victims: ['daemon', 'old'] }
]

describe('kill -9 in each step of an upgrade (real processes)', function () {
  this.timeout(60_000)
  let fleet: LiveFleet
  let client: Client
  let daemon: Daemon
  let version = 0
  const gates = () => join(fleet.directory, 'p0', 'host', 'gates')

  const call = (method: string, ...args: number[]) =>
    client.call({ class: SET, version, method, args, to: { peer: daemon.peer }, timeoutMs: 20_000 })
  const object = async () => (await client.status()).objects[SET]
  const serves = (wanted: number) =>
    until(
      `version ${wanted} serves`,
      async () => allAt(await client.status(), SET, wanted, 1),
      30_000,
      async () => [await object(), daemon.stderr.slice(-20)]
    )

  async function restart(): Promise<void> {
    daemon = await fleet.spawn('p0', 'g0', [])
    client = await fleet.client(daemon.addresses)
  }

  /** An upgrade to the next version, of the same class: only its gates have names of their own. */
  async function packed() {
    const to = version + 1
    const source = join(fleet.directory, `v${to}`)
    const write = (name: string, lines: string[]) => writeFile(join(source, name), lines.join('\n'))
    const gated = (module: string) => [
      `import { pass } from '${join(FIXTURE, 'gate.ts')}'`,
      `await pass('import-${module}-${to}')`,
      `export { default } from '${join(FIXTURE, `${module}.ts`)}'`
    ]
    await mkdir(source)
    await write('object.ts', gated('object'))
    await write('transform.ts', gated('transform'))
    const schedule = 'schedule: { when: immediately(), constraints: [] }'
    const later = to === 1 ? '' : "transform: './transform.ts', past: 'subtype', "
    await write('upgrade.ts', [
      `import { defineUpgrade, immediately } from '${INDEX}'`,
      `const classes = { ${SET}: { object: './object.ts', ${later}${schedule} } }`,
      `export default defineUpgrade({ version: ${to}, description: 'gated', classes })`
    ])
    return await fleet.pack('', source)
  }

  const shut = (gate: string) => writeFile(join(gates(), gate), '')
  const openAll = async () => {
    for (const name of await readdir(gates())) await rm(join(gates(), name))
  }
  const reached = (gate: string) => until(`${gate} is reached`, () => existsSync(join(gates(), `${gate}.reached`)))

  /** Begins the next upgrade and holds it in the case's step. */
  async function hold({ phase, gate }: Case): Promise<void> {
    const to = version + 1
    const file = await packed()
    if (gate === undefined) await client.injectStatement(fleet.statement({ what: 'pause', target: null }))
    else if (gate === 'return') {
      await shut(`throw-${to}`)
      await shut(`start-${version}`)
    } else await shut(gate === 'hold' ? gate : `${gate}-${to}`)
    // A call that is cut, or finds nobody, has changed nothing: it is there to be waited for.
    if (gate === 'hold') call('hold').catch((error: Error) => assert.match(error.name, /OutcomeUnknown|Unavailable/))
    if (gate === 'hold') await reached('hold')
    await client.injectUpgrade(file)
    if (gate === 'return') await reached(`start-${version}`)
    else if (gate !== undefined && gate !== 'hold') await reached(`${gate}-${to}`)
    await until(`it is ${phase}`, async () => (await object())?.phase === phase, 20_000, object)
  }

  async function kill(victim: Victim): Promise<void> {
    const hosted = hostedProcesses(join(fleet.directory, 'p0'))
    const those = hosted.filter(({ role, version: of }) => {
      if (victim === 'transform') return role === 'transform'
      return victim === 'all' || (role === 'object' && of === (victim === 'old' ? version : version + 1))
    })
    const dies = victim === 'daemon' || victim === 'all'
    const gone = dies ? once(daemon.process, 'exit') : undefined
    if (dies) daemon.process.kill('SIGKILL')
    if (victim !== 'daemon') {
      assert.ok(those.length > 0, `no ${victim} among ${JSON.stringify(hosted)}`)
      for (const { pid } of those) process.kill(pid, 'SIGKILL')
    }
    await gone
  }

  /** No other process, no other attempt: what serves is all that is left of the upgrade. */
  async function whole(): Promise<void> {
    await until(
      'one process is left, the one that serves',
      () => {
        const left = hostedProcesses(join(fleet.directory, 'p0'))
        const [one] = left
        return left.length === 1 && one?.version === version && one.parent === daemon.process.pid
      },
      10_000,
      () => hostedProcesses(join(fleet.directory, 'p0'))
    )
    const attempts = () => readdir(join(fleet.directory, 'p0', 'objects', SET))
    await until('one attempt is left', async () => (await attempts()).length === 1, 10_000, attempts)
    const elements = Array.from({ length: 10 * version }, (_, x) => x)
    assert.deepEqual(await call('all'), elements)
  }

  const write = async () => {
    for (let x = 10 * (version - 1); x < 10 * version; x++) await call('insert', x)
  }

  before(async () => {
    fleet = await LiveFleet.create()
    await restart()
    await mkdir(gates())
    await client.injectUpgrade(await packed())
    await serves(1)
    version = 1
    await write()
  })
  after(async () => await fleet.close())

  for (const one of CASES) {
    for (const victim of one.victims) {
      const where = one.gate === undefined || one.gate === 'return' ? '' : ` (${one.gate})`
      it(`L3, L20: ${one.phase}${where}: ${victim} killed`, async () => {
        await hold(one)
        await kill(victim)
        const survivor =
          one.gate === 'busy-transform'
            ? Number(await readFile(join(gates(), `busy-transform-${version + 1}.reached`), 'utf8'))
            : undefined
        // A busy one does not notice the end of its daemon: the next daemon must end it, and begin anew.
        if (survivor !== undefined) {
          assert.notEqual(await startTimeOf(survivor), null)
          await rm(join(gates(), `busy-transform-${version + 1}.reached`))
        } else await openAll()
        if (victim === 'daemon' || victim === 'all') await restart()
        if (survivor !== undefined) {
          await reached(`busy-transform-${version + 1}`)
          assert.equal(await startTimeOf(survivor), null)
          await openAll()
        }
        if (one.gate === undefined) {
          await until('it serves again', async () => (await object())?.serving === true, 20_000, object)
          assert.deepEqual([(await object())?.version, (await object())?.phase], [version, 'waiting'])
          const [pause] = (await client.status()).pauses
          await client.injectStatement(fleet.statement({ what: 'resume', lifts: pause!.hash }))
        }
        if (one.gate === 'return') {
          await serves(version)
          assert.equal((await object())?.failed.at(-1)?.version, version + 1)
          await whole()
          const { hash } = (await client.status()).log.at(-1)!
          await client.injectStatement(fleet.statement({ what: 'retry', target: hash, peer: null }))
        }
        await serves(version + 1)
        version += 1
        await write()
        await whole()
      })
    }
  }
})
