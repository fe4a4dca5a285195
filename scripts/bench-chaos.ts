/**
 * Runs of the demo with kills, one after the other, with seeds 1 … N (SPEC X6):
 * scripts/bench chaos [RUNS] [--peers N] [--keys N] [--from SEED] [--json]. The exit code is 0 if every run held.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { median, type Report } from './demonstration/report.ts'

const DEMO = fileURLToPath(new URL('./demonstration/main.ts', import.meta.url))

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    peers: { type: 'string', default: '6' },
    keys: { type: 'string', default: '2000' },
    from: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false }
  }
})
const runs = Number(positionals[0] ?? 20)
const from = Number(values.from)

/** The report of one run; the text of its end where there is none. */
async function run(seed: number): Promise<Report | string> {
  const args = ['--once', '--json', '--chaos', '--seed', String(seed), '--peers', values.peers, '--keys', values.keys]
  const demo = spawn(process.execPath, [DEMO, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  const [out, error] = await Promise.all([text(demo.stdout), text(demo.stderr), once(demo, 'close')])
  const last = out.trimEnd().split('\n').at(-1) ?? ''
  return last.startsWith('{') ? (JSON.parse(last) as Report) : `${out}${error}`
}

const COLUMNS = [
  'seed',
  'held',
  'kills',
  'daemon',
  'all',
  'object',
  'TF',
  'upgraded',
  'calls',
  'failed',
  'again',
  'lost',
  'down',
  'seconds'
]
const row = (cells: readonly (string | number)[]): string => cells.map((cell) => String(cell).padStart(9)).join('')
const say = (line: string): void => {
  if (!values.json) console.log(line)
}

const reports: Report[] = []
const broken: { seed: number; text: string }[] = []
say(row(COLUMNS))
for (let seed = from; seed < from + runs; seed++) {
  const report = await run(seed)
  if (typeof report === 'string') {
    broken.push({ seed, text: report })
    say(`${row([seed, 'NO'])}  it ended without a report:\n${report}`)
    continue
  }
  reports.push(report)
  const { held, chaos, upgraded, peers, calls, failed, lostWrites, groupDownMax, durationMs } = report
  const { daemon, all, object, transform } = chaos!.killed
  const kills = [chaos!.kills, daemon, all, object, transform]
  const found = [`${upgraded}/${peers}`, calls, failed, chaos!.repeated, lostWrites, groupDownMax]
  say(row([seed, held ? 'yes' : 'NO', ...kills, ...found, Math.round(durationMs / 1000)]))
}

const total = (of: (report: Report) => number): number => reports.reduce((sum, report) => sum + of(report), 0)
const summary = {
  runs,
  held: reports.filter(({ held }) => held).length,
  peers: total(({ peers }) => peers),
  upgraded: total(({ upgraded }) => upgraded),
  kills: total(({ chaos }) => chaos!.kills),
  killsOfDaemon: total(({ chaos }) => chaos!.killed.daemon),
  killsOfAll: total(({ chaos }) => chaos!.killed.all),
  killsOfObject: total(({ chaos }) => chaos!.killed.object),
  killsOfTransform: total(({ chaos }) => chaos!.killed.transform),
  calls: total(({ calls }) => calls),
  failed: total(({ failed }) => failed),
  repeated: total(({ chaos }) => chaos!.repeated),
  lostWrites: total(({ lostWrites }) => lostWrites),
  groupDownMax: Math.max(0, ...reports.map(({ groupDownMax }) => groupDownMax)),
  rollOutMsMedian: Math.round(median(reports.map(({ rollOutMs }) => rollOutMs)))
}
if (values.json) console.log(JSON.stringify({ ...summary, broken }))
else {
  const { held, upgraded, peers, kills, calls, failed, repeated, lostWrites, groupDownMax } = summary
  console.log(
    `${held} of ${runs} runs held: ${upgraded} of ${peers} peers upgraded, ${kills} kills, ${failed} of ${calls} calls failed (${repeated} made again with the same id), ${lostWrites} writes lost, at most ${groupDownMax} of a group down for the upgrade`
  )
}
process.exitCode = summary.held === runs ? 0 : 1
