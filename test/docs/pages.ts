/** Pages whose fenced blocks are run: files by the comment in their first line, commands with what they print. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'

export interface Block {
  language: string
  /** What follows the language: `exits 1`. */
  info: string
  text: string
  /** Of the page, where the block begins. */
  line: number
}

export function blocksOf(page: string): Block[] {
  const blocks: Block[] = []
  let open: { language: string; info: string; line: number; lines: string[] } | null = null
  for (const [at, line] of page.split('\n').entries()) {
    const fence = /^```(\w*) *(.*)$/.exec(line)
    if (open === null && fence !== null) open = { language: fence[1]!, info: fence[2]!, line: at + 1, lines: [] }
    else if (open !== null && line === '```') {
      blocks.push({ language: open.language, info: open.info, line: open.line, text: open.lines.join('\n') })
      open = null
    } else open?.lines.push(line)
  }
  if (open !== null) throw new Error(`line ${open.line}: the block does not end`)
  return blocks
}

export interface Shown {
  command: string
  output: string
}

/** `$ command`, gone on with in the next line after a backslash; what follows is what it prints. */
export function commandsOf({ text, line }: Block): Shown[] {
  const shown: { command: string; output: string[] }[] = []
  for (const one of text.replaceAll(/ *\\\n */g, ' ').split('\n')) {
    if (one.startsWith('$ ')) shown.push({ command: one.slice(2), output: [] })
    else if (shown.length === 0) throw new Error(`line ${line}: output without a command: ${one}`)
    else shown.at(-1)!.output.push(one)
  }
  return shown.map(({ command, output }) => ({ command, output: output.join('\n') }))
}

/** Whether a text is as shown: a line of nothing but … is any lines, else … is anything within the line. */
export function isAsShown(shown: string, text: string): boolean {
  const escaped = (part: string) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')
  const lines = shown
    .split('\n')
    .map((line) => (line.trim() === '…' ? '(?:.*\n)*?' : `${line.split('…').map(escaped).join('.*')}\n`))
  return new RegExp(`^${lines.join('')}$`).test(`${text.trim()}\n`)
}

export interface Ended {
  code: number | null
  /** What it printed, stdout and stderr as they came. */
  text: string
}

export async function shell(command: string, directory: string, env: NodeJS.ProcessEnv): Promise<Ended> {
  const child = spawn('sh', ['-c', `${command} 2>&1`], { cwd: directory, env, stdio: ['ignore', 'pipe', 'inherit'] })
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    text += part
  })
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, text }
}
