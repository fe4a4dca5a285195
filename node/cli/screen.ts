/** Text as it fits a terminal (SPEC C13): tables, lines that wrap or are cut, times and peers in short. */
import { sayDuration } from '../../src/schedule/duration.ts'

/** Columns as wide as their widest cell; the last one is not padded. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows
    .map((row) =>
      row.map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column]!))).join('  ')
    )
    .map((line) => line.trimEnd())
    .join('\n')
}

/** Lines cut at the edge: wrapped ones would tear a table. */
export const cut = (text: string, columns: number): string =>
  text
    .split('\n')
    .map((line) => (line.length <= columns ? line : `${line.slice(0, columns - 1)}…`))
    .join('\n')

/** Lines broken between words; what follows a break is indented by two more. */
export function wrapped(text: string, columns: number): string {
  return text
    .split('\n')
    .map((line) => wrappedLine(line, columns))
    .join('\n')
}

function wrappedLine(line: string, columns: number): string {
  if (line.length <= columns) return line
  const indent = ' '.repeat(line.length - line.trimStart().length)
  const lines = [indent]
  for (const word of line.trim().split(' ')) {
    const last = lines.at(-1)!
    const next = last.trim() === '' ? last + word : `${last} ${word}`
    if (next.length <= columns || last.trim() === '') lines[lines.length - 1] = next
    else lines.push(`${indent}  ${word}`)
  }
  return lines.join('\n')
}

export const shortPeer = (peer: string): string => `…${peer.slice(-8)}`
export const shortHash = (hash: string): string => hash.slice(0, 16)

/** How long ago, and when: '4m (since 2026-11-23 18:40:01Z)'. */
export function sinceWhen(sinceMs: number, nowMs: number): string {
  const when = new Date(sinceMs)
    .toISOString()
    .replace('T', ' ')
    .replace(/\.\d+Z$/, 'Z')
  return `${sayDuration(Math.max(0, nowMs - sinceMs))} (since ${when})`
}
