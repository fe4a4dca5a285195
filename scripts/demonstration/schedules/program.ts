/** `scripts/demo --schedule NAME` (SPEC X7): one show after another on one small fleet, and whether each did what it says. */
import { type Finding, SHOWS } from './shows.ts'
import { Stage } from './stage.ts'

export interface Shown {
  name: string
  held: boolean
  schedule: string
  findings: Finding[]
}

/** The shows that a comma-separated list names. @throws Error naming those that there are */
export function showsNamed(list: string): string[] {
  const known = Object.keys(SHOWS)
  // What fails leaves the fleet with a version that nobody can build on.
  const names = list === 'all' ? known : list.split(',')
  const odd = names.find((name) => !known.includes(name))
  if (odd !== undefined) throw new Error(`--schedule ${odd}: give ${known.join(', ')}, several with commas, or all`)
  const failing = names.findIndex((name) => SHOWS[name]!.broken === true)
  if (failing >= 0 && failing < names.length - 1)
    throw new Error(`--schedule ${list}: nothing can follow ${names[failing]}; put it last`)
  return names
}

export class Program {
  readonly #stage: Stage
  readonly #names: readonly string[]
  readonly #begun = performance.now()

  constructor(init: { directory: string; peers: number; names: readonly string[] }) {
    this.#names = init.names
    this.#stage = new Stage({ directory: init.directory, peers: init.peers, say: (line) => this.#say(`  ${line}`) })
  }

  async run(): Promise<Shown[]> {
    await this.#stage.open()
    const shown: Shown[] = []
    for (const name of this.#names) shown.push(await this.#show(name))
    return shown
  }

  async end(): Promise<void> {
    await this.#stage.close()
  }

  kill(): void {
    this.#stage.kill()
  }

  warnings(): string[] {
    return this.#stage.warnings()
  }

  async #show(name: string): Promise<Shown> {
    const { title, schedule, reader, broken, modules, late, play } = SHOWS[name]!
    this.#say('')
    this.#say(`${name}: ${title}`)
    this.#say(`  schedule: ${schedule}`)
    const also = reader?.(this.#stage.version + 1)
    if (also !== undefined) this.#say(`  and of the class that it brings: ${also}`)
    const extra = {
      ...(broken && { broken }),
      ...(modules && { modules }),
      ...(also !== undefined && { reader: also })
    }
    const upgrade = { description: title, schedule, ...extra }
    const release = (): Promise<void> => this.#stage.release(upgrade)
    if (late !== true) await release()
    const findings = await play(this.#stage, release)
    for (const { held, text } of findings) this.#say(`  ${held ? '✓' : '✕'} ${text}`)
    return { name, held: findings.every(({ held }) => held), schedule, findings }
  }

  #say(line: string): void {
    const at = `${((performance.now() - this.#begun) / 1000).toFixed(1)}`.padStart(6)
    process.stdout.write(line === '' ? '\n' : `${at}  ${line}\n`)
  }
}
