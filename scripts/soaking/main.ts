/** `main.ts [MINUTES] [PEERS]`: prints how fast what daemons hold grows; exits with 1 if an acknowledged write was lost. */
import { median } from '../demonstration/report.ts'
import { MEASURES, slope } from './slope.ts'
import { soak } from './soak.ts'

const [minutes = 20, peers = 30] = process.argv.slice(2).map(Number)
if (![minutes, peers].every((one) => Number.isInteger(one) && one > 0) || process.argv.length > 4) {
  console.error('scripts/soak [MINUTES] [PEERS]: whole numbers from 1 on')
  process.exit(2)
}
/** While everything is new caches fill and code is compiled. */
const WARMING = 1 / 3
const WORDS = { heapKb: 'heap, KiB', rssKb: 'resident, KiB', handles: 'handles', descriptors: 'file descriptors' }

try {
  const report = await soak({ minutes, peers, sampleMs: 10_000 }, (line) => console.log(line))
  const later = [...report.samples.values()].map((samples) => samples.slice(Math.floor(samples.length * WARMING)))
  console.log(`daemons, after a third of the time     then   at the end    a minute: median, most     an upgrade`)
  for (const measure of MEASURES) {
    const slopes = later.map((samples) => slope(samples, measure))
    const [first, last] = [
      later.map((samples) => samples[0]![measure]),
      later.map((samples) => samples.at(-1)![measure])
    ]
    const figures = [median(first), median(last), median(slopes), Math.max(...slopes)]
    const each = (median(slopes) * report.minutes) / report.upgrades
    const cells = [...figures, each].map((figure, index) => figure.toFixed(index < 2 ? 0 : 2).padStart(13))
    console.log(`${WORDS[measure].padEnd(30)}${cells.join('')}`)
  }
  for (const [text, count] of report.failures) console.log(`${count} calls failed: ${text}`)
  for (const text of report.lost) console.log(`LOST  ${text}`)
  const { upgrades, acknowledged, lost } = report
  console.log(
    `${peers} peers, ${upgrades} upgrades of each in ${report.minutes.toFixed(1)} minutes, ${acknowledged} writes acknowledged, ${lost.length} lost`
  )
  process.exit(lost.length === 0 ? 0 : 1)
} catch (error) {
  console.error(error instanceof Error ? (error.stack ?? error.message) : error)
  process.exit(1)
}
