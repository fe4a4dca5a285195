/** What `--out` writes (SPEC M31). */
import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { simulate } from '../../../sim/command.ts'
import { withoutNames } from '../../../sim/measures.ts'
import { csvOf } from '../../../sim/report/csv.ts'
import { type Plot, svgOf } from '../../../sim/report/plot.ts'

const quiet = { out: () => undefined, error: () => undefined, screen: process.stderr, environment: {} }

describe('sim/report', () => {
  let folder: string
  let files: Record<string, string>
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'upstart-report-'))
    const args = [
      '--peers',
      '4',
      '--seeds',
      '2',
      '--set',
      'upgrades.0.at=5s',
      '--set',
      'description=<b>&"bold"',
      '--sweep'
    ]
    assert.equal(await simulate([...args, 'network.delay=1ms,30ms', '--out', folder], quiet), 0)
    const names = await readdir(folder)
    files = Object.fromEntries(
      await Promise.all(names.map(async (name) => [name, await readFile(join(folder, name), 'utf8')]))
    )
  })
  after(() => rm(folder, { recursive: true }))

  it('M31: the page needs nothing but itself', () => {
    const html = files['report.html']!
    assert.match(html, /default-src 'none'/)
    assert.doesNotMatch(html, /<script|<link(?! rel="icon" href="data:,")|<img|<iframe|@import|url\(|\bsrc=/)
    const addresses = [...html.matchAll(/https?:\/\/[^\s"'<]+/g)].map(([address]) => address)
    assert.deepEqual([...new Set(addresses)], ['http://www.w3.org/2000/svg'], 'the name of SVG is no address')
    assert.match(html, /&#60;b&#62;&#38;&#34;bold&#34;/)
  })

  it('M31: it has each plot of each variant, the comparison, and the table', () => {
    const html = files['report.html']!
    assert.equal(html.match(/<svg /g)!.length, html.match(/<\/svg>/g)!.length)
    for (const title of [
      'Informed, fetched, upgraded',
      'Versions',
      'On their way',
      'What peers wait for',
      'Traffic of the fleet',
      'Traffic of a peer',
      'Calls that failed'
    ])
      assert.equal(html.split(`aria-label="${title}"`).length, 3, title)
    for (const plot of ['upgraded', 'fetched', 'informed', 'down'])
      assert.match(files[`compared-${plot}.svg`]!, /^<svg xmlns=/)
    for (const cell of ['network.delay=1ms', 'network.delay=30ms', 'upgraded.p99'])
      assert.ok(html.includes(`>${cell}<`), cell)
    assert.doesNotMatch(html, /NaN|undefined|Infinity/)
  })

  it('M31: the series tell how the fleet came from one version to the next', () => {
    const [head, ...rows] = files['series.csv']!.trim()
      .split('\n')
      .map((row) => row.split(','))
    const column = (name: string) => head!.indexOf(name)
    const of = rows.filter((row) => row[0] === 'network.delay=30ms' && row[1] === '2')
    const times = of.map((row) => Number(row[column('atMs')]))
    assert.deepEqual(
      times,
      times.toSorted((a, b) => a - b)
    )
    assert.deepEqual([of.at(-1)![column('version 2')], of.at(-1)![column('upgraded')]], ['4', '4'])
    assert.ok(of.some((row) => row[column('version 1')] === '4'))
    assert.equal(files['runs.csv']!.trim().split('\n').length, 5)
  })

  it('M30, M31: what a shard wrote is merged into the same report', async () => {
    const again = join(folder, 'again')
    assert.equal(await simulate(['merge', join(folder, 'runs.jsonl'), '--out', again], quiet), 0)
    for (const name of ['series.csv', 'runs.csv', 'compared-upgraded.svg', '1-spread.svg'])
      assert.equal(await readFile(join(again, name), 'utf8'), files[name], name)
  })

  it('M31: a plot of times has ticks at times that people name, in its frame', () => {
    const plot: Plot = {
      name: 'x',
      title: 'a < b',
      caption: '',
      x: { label: 'time', time: true, format: (ms) => `${ms / 60_000} min` },
      y: { label: 'peers' },
      lines: [
        {
          name: 'one',
          points: [
            [0, 0],
            [600_000, 3],
            [1_500_000, 7]
          ]
        }
      ]
    }
    const svg = svgOf(plot)
    for (const tick of [0, 5, 10, 15, 20, 25]) assert.ok(svg.includes(`>${tick} min<`), `${tick}`)
    assert.match(svg, /aria-label="a &#60; b"/)
    assert.match(svg, /<path d="M64,260L[\d.]+,[\d.]+L624,[\d.]+"/)
  })

  it('M26: reasons are told apart by what they say, not by whom they name', () => {
    assert.equal(withoutNames('step 1 of 2: waits for canaries: 1 of 3 run version 2'), 'waits for canaries')
    assert.equal(
      withoutNames('P0000012 of group G4 may not be down beside it'),
      '… of group … may not be down beside it'
    )
  })

  it('M31: CSV quotes what needs quotes', () => {
    assert.equal(csvOf([['a,b', 'say "x"', 3]]), '"a,b","say ""x""",3\n')
  })
})
