/** The simulator's command line (SPEC C16, M29, M30), in this process. */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { writeUpgradeFile } from '../../node/pack/file.ts'
import { commaSeparated, simulate } from '../../sim/command.ts'
import type { Outcome } from '../../sim/outcome.ts'
import { lineOf } from '../../sim/progress.ts'
import { sharded, shardIn, shardOf } from '../../sim/shard.ts'
import type { Summary } from '../../sim/statistics.ts'
import { immediately } from '../../src/schedule/combinators.ts'
import { signEntry } from '../../src/upgrade/entry.ts'
import { FAR, testManifest } from '../src/upgrade/fleet.ts'

interface Said {
  code: number
  out: string
  error: string
  /** The lines of --json. */
  lines: any[]
}

async function say(args: string[], environment: NodeJS.ProcessEnv = {}): Promise<Said> {
  const said: Said = { code: 0, out: '', error: '', lines: [] }
  said.code = await simulate(args, {
    out: (text) => {
      said.out += text
    },
    error: (text) => {
      said.error += text
    },
    screen: process.stderr,
    environment
  })
  if (args.includes('--json'))
    said.lines = said.out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
  return said
}

/** What a run is, without how long it took here. */
const without = ({ wallMs, eventsPerSecond, rssMb, ...rest }: Outcome): object => rest

describe('sim/command', () => {
  let folder: string
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'upstart-sim-'))
  })
  after(() => rm(folder, { recursive: true }))

  it('M29: --json tells what a run measured', async () => {
    const { code, lines } = await say(['--peers', '6', '--json', '--seed', '3'])
    assert.equal(code, 0)
    const [one] = lines as [Outcome]
    assert.deepEqual([one.peers, one.seed, one.converged, one.violations], [6, 3, true, []])
    assert.match(one.trace, /^[0-9a-f]{16}$/)
    for (const reached of [one.informed, one.fetched, one.upgraded]) {
      assert.ok(reached.p50 > 0 && reached.p50 <= reached.p99 && reached.p99 <= reached.p9999)
      assert.ok(reached.p9999 <= reached.max && reached.rounds.p50 > 0)
    }
    assert.ok(one.informed.p50 <= one.fetched.p50 && one.fetched.p50 <= one.upgraded.p50)
    assert.ok(one.messages.perPeer > 10 && one.messages.bytesPerPeer > 1_000_000 / 2, 'a bundle of 1 MiB came to all')
    assert.ok(one.availability.calls > 100)
    assert.equal(one.availability.groupDownMax, 1)
    assert.ok(one.events > 0 && one.eventsPerSecond > 0 && one.rssMb > 0)
    assert.ok(!('census' in one), 'nobody has a reading so soon: what is not measured is not told')
  })

  it('M1: equal command lines give equal runs, in a thread too', async () => {
    const args = ['--peers', '4', '--json', '--seeds', '2', '--set', 'upgrades.0.at=5s']
    const [here, there] = [await say(args), await say([...args, '--jobs', '2'])]
    const runs = ({ lines }: Said) => lines.slice(0, 2).map(without)
    assert.deepEqual(runs(here), runs(there))
    assert.equal(here.lines.length, 3)
    assert.notEqual(here.lines[0].trace, here.lines[1].trace)
  })

  it('M30: shards, merged, are the sweep unsharded', async () => {
    const args = [
      '--peers',
      '3',
      '--seeds',
      '2',
      '--sweep',
      'network.delay=1ms,40ms',
      '--set',
      'upgrades.0.at=5s',
      '--json'
    ]
    const whole = await say(args)
    const parts = [
      await say([...args, '--shard', '1/2']),
      await say(args, { JOB_COMPLETION_INDEX: '1', JOB_COMPLETIONS: '2' })
    ]
    const files = parts.map((_, index) => join(folder, `shard-${index}.jsonl`))
    await Promise.all(parts.map((part, index) => writeFile(files[index]!, part.out)))
    const { lines } = await say(['merge', ...files, '--json'])
    assert.deepEqual(lines.slice(0, 4).map(without), whole.lines.slice(0, 4).map(without))
    assert.deepEqual(lines[4], whole.lines[4])
    const { runs, summaries } = lines[4] as { runs: number; summaries: Summary[] }
    assert.equal(runs, 4)
    assert.deepEqual(
      summaries.map((one) => [one.variant, one.seeds]),
      [
        [{ 'network.delay': '1ms' }, [1, 2]],
        [{ 'network.delay': '40ms' }, [1, 2]]
      ]
    )
    const [near, far] = summaries.map((one) => one.measures['informed.p50']!.p50)
    assert.ok(near! < far!, 'news take longer over longer ways')
    await writeFile(files[0]!, JSON.stringify({ ...whole.lines[0], trace: 'f'.repeat(16) }))
    const clash = await say(['merge', files[0]!, files[1]!, join(folder, 'nonesuch')])
    assert.match(clash.error, /^upstart: Usage: .*nonesuch: ENOENT; name files that shards wrote/)
  })

  it('M30: merged runs that contradict each other are refused, and files without runs', async () => {
    const run = { scenario: 'x', variant: {}, seed: 1, trace: 'a' }
    const [a, b, c] = ['a', 'b', 'c'].map((name) => join(folder, name)) as [string, string, string]
    await writeFile(a, JSON.stringify(run))
    await writeFile(b, JSON.stringify({ ...run, trace: 'b' }))
    await writeFile(c, '{"runs":0}\n')
    assert.match((await say(['merge', a, b])).error, /seed 1 went otherwise in another file/)
    assert.match((await say(['merge', c])).error, /there are no runs in/)
    await writeFile(c, 'no json\n')
    assert.match((await say(['merge', c])).error, /c: line 1: no JSON/)
  })

  it('M30: a table of schedules has what differs between them', async () => {
    const scenario = join(folder, 'two.yaml')
    await writeFile(
      scenario,
      'peers: 4\ngroups: { size: 2 }\nupgrades: [{ at: 5s }]\nschedules: { slow: { gradual: { over: 10m } } }\n'
    )
    const { out, code } = await say([scenario, '--compare', 'slow,immediately'])
    assert.equal(code, 0)
    const rows = out.split('\n').map((line) => line.trim().split(/\s{2,}/))
    assert.deepEqual(
      rows.find(([name]) => name?.startsWith('p50 / p95')),
      ['p50 / p95 of runs', 'schedule=slow', 'schedule=immediately']
    )
    const upgraded = rows.find(([name]) => name === 'upgraded.max')!
    assert.ok(Number(upgraded[1]) > 10 * Number(upgraded[2]), upgraded.join(' '))
    assert.ok(!rows.some(([name]) => name === 'stuck'), 'what is the same is left out')
  })

  it('M28: an upgrade file brings its classes, schedules and bundle; a rehearsal its times', async () => {
    const upgrade = join(folder, 'v2.upgrade')
    const bundle = new Uint8Array(700_000)
    const pieces = Array.from({ length: 3 }, () => 'a'.repeat(64))
    const table = { length: bundle.length, sha256: 'b'.repeat(64), pieceLength: 262_144, pieces }
    const [first] = testManifest('c'.repeat(64)).classes
    const manifest = testManifest('c'.repeat(64), {
      version: 2,
      bundle: table,
      classes: [
        {
          ...first!,
          from: 'Set',
          to: 'ColorSet',
          transform: 'transform.js',
          schedule: { when: immediately(), constraints: [] }
        }
      ]
    })
    async function* chunks() {
      yield bundle
    }
    await writeUpgradeFile(upgrade, signEntry(manifest, FAR, []), chunks(), bundle.length)
    const rehearsal = join(folder, 'rehearsal.json')
    await writeFile(rehearsal, JSON.stringify({ ok: true, objects: [{ transformMs: 40_000, startMs: 2000 }] }))
    const args = ['--peers', '3', '--upgrade', upgrade, '--json', '--set', 'upgrades.last.at=5s']
    const [plain, slow] = [await say(args), await say([...args, '--rehearsal', rehearsal])]
    assert.ok(plain.lines[0].messages.bytesPerPeer > 500_000, plain.out)
    assert.ok(slow.lines[0].upgraded.p50 > plain.lines[0].upgraded.p50 + 30_000, slow.out)
    await writeFile(rehearsal, JSON.stringify({ ok: false, objects: [{ transformMs: 1, startMs: 1 }] }))
    assert.match(
      (await say([...args, '--rehearsal', rehearsal])).out,
      /--rehearsal: upgrades\.0\.transform: .*this rehearsal failed; mend/
    )
    assert.match(
      (await say(['--upgrade', rehearsal])).error,
      /--upgrade .*no upgrade file|does not begin with entry\.json/
    )
  })

  const mistakes: [string[], RegExp][] = [
    [['--peers', '0'], /Usage: .*--peers.*at least 1 is needed; see "upstart sim --help"/],
    [['nonesuch'], /Usage: there is no ready scenario "nonesuch"; there are bad-version, /],
    [['./nonesuch.yaml'], /Usage: \.\/nonesuch\.yaml: there is no such file; name a scenario file/],
    [['--shard', '3/2'], /Usage: --shard 3\/2: write it as I\/N/],
    [['--faults', '--set', 'peers=3'], /Usage: --faults draws the whole scenario from the seed: leave out --set/],
    [['--sweep', 'network'], /Usage: .*write it as field=value/],
    [['--sweep', 'network.loss=1,2'], /Malformed: --sweep network\.loss=2: network\.loss: a share is at most 1/]
  ]
  for (const [args, expected] of mistakes) {
    it(`C16: ${args.join(' ')} is refused in one line with the mend`, async () => {
      const { code, out, error } = await say(args)
      assert.notEqual(code, 0)
      assert.match(error, expected)
      assert.equal(error.trim().split('\n').length, 1)
      assert.equal(out, '')
    })
  }

  it('M30: shards are told by flag, by Kubernetes and by Slurm, and share everything once', () => {
    assert.deepEqual(shardOf('2/8'), { index: 1, count: 8 })
    assert.deepEqual(shardIn({ SLURM_ARRAY_TASK_ID: '7', SLURM_ARRAY_TASK_MIN: '5', SLURM_ARRAY_TASK_COUNT: '4' }), {
      index: 2,
      count: 4
    })
    assert.equal(shardIn({ JOB_COMPLETION_INDEX: '3' }), undefined, 'of how many?')
    const all = [...Array(10).keys()]
    assert.deepEqual([0, 1, 2].flatMap((index) => sharded(all, { index, count: 3 })).sort(), all)
  })

  it('M30: a comma within brackets belongs to a value', () => {
    assert.deepEqual(commaSeparated('a, {b: [1,2], c: 3},d'), ['a', '{b: [1,2], c: 3}', 'd'])
  })

  it('M29: a bar tells the simulated time, the speed and the peers at each version', () => {
    const line = lineOf({ atMs: 12_340, events: 50_000, upgraded: 50, peers: 100, versions: { 1: 50, 2: 50 } }, 50_000)
    assert.equal(line, `${'█'.repeat(12)}${'░'.repeat(12)} 12.3 s simulated · 50,000 events/s · v1: 50  v2: 50`)
  })
})
