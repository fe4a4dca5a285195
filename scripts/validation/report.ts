/** The laws as text, as pictures, and as one page. */
import { framed, gallery } from '../../sim/report/page.ts'
import { escaped, svgOf } from '../../sim/report/plot.ts'
import { deviationOf, holds, type Law, type Row } from './law.ts'

const figure = (value: number): string => value.toFixed(value < 10 ? 2 : 1)
const percent = (share: number): string =>
  !Number.isFinite(share) ? '–' : `${share < 0 ? '−' : '+'}${Math.abs(100 * share).toFixed(0)} %`

const HEAD = ['peers', 'theory', 'measured', 'deviation', 'expected']

function cellsOf(row: Row): string[] {
  const { what, peers, theory, measured, expected } = row
  const band = expected === undefined ? '' : expected.map(percent).join(' to ')
  const said = `${band}${holds(row) ? '' : ': NOT SO'}`
  return [what, peers.toLocaleString('en'), figure(theory), figure(measured), percent(deviationOf(row)), said]
}

/** Tables as Markdown, which is also what docs show. */
export function tableOf(laws: readonly Law[]): string {
  return laws
    .map(({ title, unit, rows }) => {
      const head = [`${title} (${unit})`, ...HEAD]
      const lines = [head, head.map((_, index) => (index === 0 ? '---' : '--:')), ...rows.map(cellsOf)]
      return lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n')
    })
    .join('\n\n')
}

function section(law: Law): string {
  const row = (cells: readonly string[], tag: string) =>
    `<tr>${cells.map((one) => `<${tag}>${escaped(one)}</${tag}>`).join('')}</tr>`
  const rows = [row([law.unit, ...HEAD], 'th'), ...law.rows.map((one) => row(cellsOf(one), 'td'))]
  const table = `<div class="wide"><table>${rows.join('\n')}</table></div>`
  return `<h2>${escaped(law.title)}</h2><p>${escaped(law.said)}</p>${table}${gallery([law.plot])}`
}

/** Each plot as SVG, and `validation.html`, by file name. */
export function filesOf(laws: readonly Law[], command: string): Record<string, string> {
  const title = 'The simulated protocol against theory'
  const body = `<h1>${title}</h1><p class="dim"><code>${escaped(command)}</code></p>${laws.map(section).join('\n')}`
  return {
    'validation.html': framed(title, body),
    ...Object.fromEntries(laws.map(({ plot }) => [`${plot.name}.svg`, `${svgOf(plot)}\n`]))
  }
}
